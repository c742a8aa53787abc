-- The states of a row are compared one by one: for `in (…)` SQLite builds the list anew for each row that is written, which was a quarter of what it had
-- to do for a mail. It alters no `check` in place, so the tables are made again, their rows copied. PostgreSQL's stay as they are.

create table new_lead (
  seq integer primary key,         -- order of intake: batch, created, id (R-CHANNEL)
  id text not null unique,         -- identity (R-INTAKE)
  partner_id text not null,
  created_at bigint not null,
  received_at bigint not null,
  version bigint not null,         -- nanoseconds of updatedDateTime; not newer = no change
  kind text not null check (kind = 'contact' or kind = 'informational' or kind = 'shared' or kind = 'test'),
  stage text not null check (
    stage = 'received' or stage = 'accepted' or stage = 'won' or stage = 'lost' or stage = 'declined' or stage = 'expired'),
  stage_since bigint not null,
  expires_at bigint,               -- null where nobody has to answer
  cool_at bigint,                  -- end of urgency; null = never urgent
  is_cooled boolean not null,
  remind_at bigint,                -- null = arrives too late to be reminded of
  is_expiring boolean not null,
  archive_at bigint,
  is_archived boolean not null,
  next_due_at bigint,              -- when time moves it next; pure function of the columns above
  channel text check (channel = 'single' or channel = 'digest' or channel = 'held'),
  day text,                        -- the partner's day on which it was counted
  day_number bigint,               -- its number on that day
  digest_id bigint,
  reminder_id bigint,              -- the notice that gathers its reminder
  expiry_id bigint,                -- the notice that gathers its expiry
  is_quiet boolean not null,       -- R-BACKFILL: nobody is told
  customer text not null,
  deal text,
  location text,                   -- the business-profile location that it targets
  sender_id text,                  -- the partner that sent it
  record text not null,            -- the referral resource as kept, JSON
  answer text                      -- R-ACCEPT, JSON
);
insert into new_lead select * from lead;
drop table lead;
alter table new_lead rename to lead;
-- index: leads_due
create index lead_due on lead (next_due_at, seq) where next_due_at is not null;
-- index: leads_held
create index lead_held on lead (partner_id, seq) where channel = 'held';
-- index: leads_of_digests
create index lead_digest on lead (digest_id, seq) where digest_id is not null;
-- index: leads_of_notices
create index lead_reminder on lead (reminder_id, seq) where reminder_id is not null;
create index lead_expiry on lead (expiry_id, seq) where expiry_id is not null;
-- index: leads_count_day, leads_mailed_on_day
-- By channel: a digest names those mailed singly that day, and looks at no others.
create index lead_day on lead (partner_id, day, channel, seq) where day is not null;
-- index: leads_of_partner
create index lead_partner on lead (partner_id, seq);
-- index: leads_list
create index lead_created on lead (created_at, seq);
-- index: leads_list_of_partner
create index lead_partner_created on lead (partner_id, created_at, seq);

create table new_notice (
  id integer primary key,
  kind text not null check (kind = 'lead' or kind = 'digest' or kind = 'reminder' or kind = 'expiry' or kind = 'decline'),
  subject text not null,           -- lead, digest, receiver + hour, partner + day
  partner_id text not null,        -- the receiving partner; '' = the lead desk
  lead_id text,
  digest_id bigint,
  state text not null check (state = 'pending' or state = 'parked' or state = 'done' or state = 'cancelled' or state = 'undeliverable'),
  turn bigint not null,            -- singles (0) before digests (1) before the rest (2)
  due_at bigint not null,
  is_reopened boolean not null,    -- a hard failure resolves it once more, not twice
  reason text,                     -- why it is in its state, in plain words
  created_at bigint not null,
  finished_at bigint,
  forward text,                    -- to whom and by whom the lead was sent on from its mail, JSON; null where R-RECIPIENT says who is told
  unique (kind, subject),
  check ((state = 'done' or state = 'cancelled' or state = 'undeliverable') = (finished_at is not null))
);
insert into new_notice select * from notice;
drop table notice;
alter table new_notice rename to notice;
-- index: notices_due
create index notice_due on notice (turn, due_at, id) where state = 'pending';
-- index: notices_unpark
create index notice_parked on notice (partner_id, id) where state = 'parked';
-- index: notices_cancel
create index notice_lead on notice (lead_id) where lead_id is not null;
-- index: notices_of_digest
create index notice_digest on notice (digest_id) where digest_id is not null;

create table new_delivery (
  id integer primary key,
  notice_id bigint not null,
  kind text not null,
  turn bigint not null,
  partner_id text not null,        -- the receiving partner; '' = the lead desk or a customer
  lead_id text,                    -- kinds that are about one lead
  leads text not null,             -- gathered kinds: the lead ids that concern this address, JSON
  address text not null,
  name text,                       -- the recipient's, for the greeting
  language text not null,
  state text not null check (
    state = 'queued' or state = 'sending' or state = 'in_doubt' or state = 'sent' or state = 'failed' or state = 'cancelled' or state = 'suppressed'),
  attempt bigint not null,         -- attempts that counted
  due_at bigint not null,          -- queued: next try; in doubt: when it is sent again
  owner bigint,                    -- the epoch of the worker that sends it
  handed_over_at bigint,           -- worker.in_doubt = hold: committed before DATA
  is_repeat boolean not null,      -- this mail may have arrived before
  is_resent boolean not null,      -- it was sent again after a doubt, which is done once
  first_due_at bigint not null,    -- when the wait of give_up_after began
  reason text,
  created_at bigint not null,
  finished_at bigint,
  forwarded_by text,               -- who sent the lead on to this address; null where R-RECIPIENT chose it
  unique (notice_id, address),
  check ((state = 'sent' or state = 'failed' or state = 'cancelled' or state = 'suppressed') = (finished_at is not null))
);
insert into new_delivery select * from delivery;
drop table delivery;
alter table new_delivery rename to delivery;
-- index: deliveries_claim
create index delivery_due on delivery (turn, due_at, id) where state = 'queued';
-- index: deliveries_in_doubt
create index delivery_doubt on delivery (due_at, id) where state = 'in_doubt';
-- index: deliveries_recover
create index delivery_owner on delivery (owner, id) where state = 'sending';
-- index: deliveries_cancel
create index delivery_lead on delivery (lead_id, address) where lead_id is not null;
-- index: deliveries_of_address
create index delivery_address on delivery (address, id);

create table new_item (
  seq integer primary key,
  subject text not null unique,    -- 'lead ID', 'unreachable PARTNER ADDRESS', 'opted-out PARTNER ADDRESS'
  partner_id text not null,
  lead_id text,
  version bigint not null,
  title text not null,
  text text not null,
  link text not null,
  due_at bigint,
  category text not null check (category = 'recommended' or category = 'mandatory'),
  urgency text check (urgency = 'urgent' or urgency = 'cooled'),
  is_expiring boolean not null,
  state text not null check (state = 'open' or state = 'done' or state = 'withdrawn'),
  is_archived boolean not null,
  changed_at bigint not null,
  post_due_at bigint,              -- when the newest state is posted; null = it has been, or nobody asked for it
  post_attempt bigint not null,
  post_owner bigint,               -- the worker that posts it
  posted_version bigint not null,
  feed_version bigint              -- its place in its partner's feed; null = changed since a place was given
);
insert into new_item select * from item;
drop table item;
alter table new_item rename to item;
-- index: items_of_partner
create index item_partner on item (partner_id, changed_at, seq);
-- index: items_claim
create index item_post on item (post_due_at, seq) where post_due_at is not null;
-- index: items_changed
create index item_feed on item (partner_id, feed_version) where feed_version is not null;
-- index: items_unnumbered
create index item_unnumbered on item (partner_id, seq) where feed_version is null;
