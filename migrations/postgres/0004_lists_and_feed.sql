-- Lists of leads by their creation, and the feed of action items that a portal polls.

-- index: leads_list
create index lead_created on lead (created_at, seq);
-- index: leads_list_of_partner
create index lead_partner_created on lead (partner_id, created_at, seq);

-- The last place that was given in the partner's feed.
alter table partner_state add column feed_version bigint not null default 0;
-- The item's place in its partner's feed. A change sets it to null, and whoever reads the feed gives it the next place under the partner's lock: only
-- what is committed is seen then, so that no place appears behind a reader's back. A number given while writing would: the higher may commit first.
alter table item add column feed_version bigint;
-- index: items_changed
create index item_feed on item (partner_id, feed_version) where feed_version is not null;
-- index: items_unnumbered
create index item_unnumbered on item (partner_id, seq) where feed_version is null;
