-- By channel: a digest names those mailed singly that day, and looks at no others.
-- The same index stands in the other engine's migration, which has more to do; a test compares the two.
drop index lead_day;
-- index: leads_count_day, leads_mailed_on_day
create index lead_day on lead (partner_id, day, channel, seq) where day is not null;
