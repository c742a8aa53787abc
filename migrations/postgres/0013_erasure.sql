-- Erasure (R-ERASE): what is to be found of a lead when its personal data goes.
-- The same columns and indexes stand in the other engine's migration; a test compares the two.

-- Told of a lead that was erased since: what comes back of this mail is not kept.
alter table delivery add column is_erased boolean not null default false;

-- Without the leads that somebody still has to answer, which are never due.
drop index lead_closed;
-- index: leads.to_erase, leads.next_to_erase
create index lead_closed on lead (stage_since, seq) where erased_at is null and (kind <> 'contact' or stage <> 'received' and stage <> 'accepted');
-- index: digests.closed_within
create index digest_closed on digest (partner_id, closed_at) where state = 'closed';
-- index: rejected.of_leads
create index rejected_lead on rejected (lead_id) where lead_id is not null;
-- index: bounces.erase
create index bounce_delivery on bounce (delivery_id) where delivery_id is not null;
