-- Which templates wrote a mail: who wonders at a mail's words finds out whether they were those of before a change.
-- The same column stands in the other engine's migration; a test compares the two.

alter table attempt add column templates text;  -- the set's digest; null where no mail was written, and for attempts of before this migration
