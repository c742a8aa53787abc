-- A rejected record leaves the list by itself once its lead comes in corrected: it is looked for by the lead that it names.
-- The same column stands in the other engine's migration; a test compares the two.

alter table rejected add column lead_id text;  -- the record's id; null where it names none, and for records of before this migration
-- index: rejected_find_open_of_leads
create index rejected_open_of_lead on rejected (lead_id, id) where state = 'open';
