-- The lead store: what lists find leads by, what posthorn found out about a customer's e-mail and phone, favourites, erasure.

alter table lead add column is_favourite boolean not null default false;  -- R-TABS: a user of the partner marked it
alter table lead add column email_validity text;   -- R-VERIFY: as posthorn determined it; null where the record says, or nobody asks
alter table lead add column phone_validity text;   -- likewise
alter table lead add column verify_at bigint;      -- when the mail domain is to be looked up; null = not, or not any more
alter table lead add column erased_at bigint;      -- R-ERASE
-- index: leads_to_verify
create index lead_verify on lead (verify_at, seq) where verify_at is not null;
-- index: leads_to_erase
create index lead_closed on lead (stage_since, seq) where erased_at is null and stage <> 'accepted';

-- What lists find a lead by: a function of its row (`lead::facets`), written with it. It may be made anew at any time.
create table lead_facet (
  seq integer primary key,         -- the lead's
  tab text,                        -- R-TABS: marketplace, qualified
  origin text,                     -- profile, offer
  call_to_action text,
  country text,                    -- alpha-2 where the record's is a code
  source text,
  quality text,
  email_validity text,             -- the record's, else what posthorn determined
  phone_validity text,
  customer text not null,          -- folded
  is_person boolean not null,      -- that name is a person's, so it is contact data
  words text not null,             -- folded: what free text finds it by
  contact_words text not null      -- folded: what finds it only while its contact data is shown (R-EXPIRY)
);
insert into meta (key, value) values ('facets', 'none');
