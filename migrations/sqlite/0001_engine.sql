-- The engine's tables. Instants are Unix milliseconds in `…_at bigint`; states are words under a `check`.
-- The same table stands in migrations/postgres with that engine's words; a test compares the two.

-- What is true of the whole database: mode, rehearsal, the Message-ID key, the settings that rows were worked out with.
create table meta (
  key text primary key not null,
  value text not null
);

-- Worker processes. A delivery carries its worker's epoch, so a late worker changes nothing.
create table worker (
  epoch integer primary key,
  name text not null,              -- host and process, for `status`
  started_at bigint not null,      -- real clock, as all leases
  alive_until bigint not null      -- renewed every few seconds; past it the epoch is dead
);

create table partner (
  id text primary key not null,
  name text,
  record text not null,            -- the partner record as JSON; replaced whole
  updated_at bigint not null
);

-- Every address of a partner's record: who is concerned when an address is suppressed or asked about.
create table partner_address (
  partner_id text not null,
  address text not null,
  primary key (partner_id, address)
);
-- index: partners_of_addresses
create index partner_address_by_address on partner_address (address, partner_id);

-- One narrow row a partner, locked first by whatever decides for it; '' stands for the lead desk.
create table partner_state (
  partner_id text primary key not null,
  day text,                        -- the local day that day_count counts
  day_count bigint not null
);

create table lead (
  seq integer primary key,         -- order of intake: batch, created, id (R-CHANNEL)
  id text not null unique,         -- identity (R-INTAKE)
  partner_id text not null,
  created_at bigint not null,
  received_at bigint not null,
  version bigint not null,         -- nanoseconds of updatedDateTime; not newer = no change
  kind text not null check (kind in ('contact', 'informational', 'shared', 'test')),
  stage text not null check (stage in ('received', 'accepted', 'won', 'lost', 'declined', 'expired')),
  stage_since bigint not null,
  expires_at bigint,               -- null where nobody has to answer
  cool_at bigint,                  -- end of urgency; null = never urgent
  is_cooled boolean not null,
  remind_at bigint,                -- null = arrives too late to be reminded of
  is_expiring boolean not null,
  archive_at bigint,
  is_archived boolean not null,
  next_due_at bigint,              -- when time moves it next; pure function of the columns above
  channel text check (channel in ('single', 'digest', 'held')),
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
-- index: leads_due
create index lead_due on lead (next_due_at, seq) where next_due_at is not null;
-- index: leads_held
create index lead_held on lead (partner_id, seq) where channel = 'held';
-- index: leads_of_digests
create index lead_digest on lead (digest_id, seq) where digest_id is not null;
-- index: leads_of_notices
create index lead_reminder on lead (reminder_id, seq) where reminder_id is not null;
create index lead_expiry on lead (expiry_id, seq) where expiry_id is not null;
-- index: leads_count_day
create index lead_day on lead (partner_id, day) where day is not null;
-- index: leads_of_partner
create index lead_partner on lead (partner_id, seq);

create table digest (
  id integer primary key,
  partner_id text not null,
  state text not null check (state in ('collecting', 'closed')),
  due_at bigint not null,          -- the fire
  opened_at bigint not null,
  closed_at bigint,
  closed_by text check (closed_by in ('fire', 'manual')),
  day text,                        -- the partner's local day of the closing
  n_leads bigint,                  -- still unanswered at the closing; 0 = no mail
  check ((state = 'closed') = (closed_at is not null))
);
create unique index digest_collecting on digest (partner_id) where state = 'collecting';
-- index: digests_due
create index digest_due on digest (due_at, id) where state = 'collecting';
-- index: digests_list
create index digest_partner on digest (partner_id, id);

create table notice (
  id integer primary key,
  kind text not null check (kind in ('lead', 'digest', 'reminder', 'expiry', 'decline')),
  subject text not null,           -- lead, digest, receiver + hour, partner + day
  partner_id text not null,        -- the receiving partner; '' = the lead desk
  lead_id text,
  digest_id bigint,
  state text not null check (state in ('pending', 'parked', 'done', 'cancelled', 'undeliverable')),
  turn bigint not null,            -- singles (0) before digests (1) before the rest (2)
  due_at bigint not null,
  is_reopened boolean not null,    -- a hard failure resolves it once more, not twice
  reason text,                     -- why it is in its state, in plain words
  created_at bigint not null,
  finished_at bigint,
  unique (kind, subject),
  check ((state in ('done', 'cancelled', 'undeliverable')) = (finished_at is not null))
);
-- index: notices_due
create index notice_due on notice (turn, due_at, id) where state = 'pending';
-- index: notices_unpark
create index notice_parked on notice (partner_id, id) where state = 'parked';
-- index: notices_cancel
create index notice_lead on notice (lead_id) where lead_id is not null;
-- index: notices_of_digest
create index notice_digest on notice (digest_id) where digest_id is not null;

create table delivery (
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
  state text not null check (state in ('queued', 'sending', 'in_doubt', 'sent', 'failed', 'cancelled', 'suppressed')),
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
  unique (notice_id, address),
  check ((state in ('sent', 'failed', 'cancelled', 'suppressed')) = (finished_at is not null))
);
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

-- What was tried, and what the other side said.
create table attempt (
  id integer primary key,
  delivery_id bigint not null,
  at bigint not null,
  relay text not null,
  stage text not null,
  code bigint,
  outcome text not null,
  detail text not null
);
-- index: attempts_of_delivery
create index attempt_delivery on attempt (delivery_id, id);

-- The Action Center's items; one a subject, its version rising with each change (R-ACTION).
create table item (
  seq integer primary key,
  subject text not null unique,    -- 'lead ID', 'unreachable PARTNER ADDRESS', 'opted-out PARTNER ADDRESS'
  partner_id text not null,
  lead_id text,
  version bigint not null,
  title text not null,
  text text not null,
  link text not null,
  due_at bigint,
  category text not null check (category in ('recommended', 'mandatory')),
  urgency text check (urgency in ('urgent', 'cooled')),
  is_expiring boolean not null,
  state text not null check (state in ('open', 'done', 'withdrawn')),
  is_archived boolean not null,
  changed_at bigint not null,
  post_due_at bigint,              -- when the newest state is posted; null = it has been, or nobody asked for it
  post_attempt bigint not null,
  post_owner bigint,               -- the worker that posts it
  posted_version bigint not null
);
-- index: items_of_partner
create index item_partner on item (partner_id, changed_at, seq);
-- index: items_claim
create index item_post on item (post_due_at, seq) where post_due_at is not null;

-- What was decided, by which rule, from which inputs: what `explain` reads.
create table history (
  id integer primary key,
  at bigint not null,
  partner_id text not null,
  lead_id text,
  address text,
  rule text not null,
  event text not null,
  actor text,                      -- who, where it was somebody
  detail text not null             -- the inputs, JSON
);
-- index: history_of_lead
create index history_lead on history (lead_id, id) where lead_id is not null;
-- index: history_of_partner
create index history_partner on history (partner_id, id) where lead_id is null;
-- index: history_of_address
create index history_address on history (address, id) where address is not null;

create table rejected (
  id integer primary key,
  received_at bigint not null,
  source text not null,            -- file name, or the way it came
  line bigint not null,
  partner_id text,                 -- what --partner said
  record text not null,
  record_hash text not null,       -- SHA-256 of the record, which may be longer than an index entry may be (PostgreSQL: 2,704 bytes)
  faults text not null,            -- JSON array of texts
  state text not null check (state in ('open', 'taken_in', 'discarded')),
  is_quiet boolean not null,       -- whether it came with --no-notify
  unique (source, line, record_hash)
);
-- index: rejected_list
create index rejected_open on rejected (id) where state = 'open';

create table suppression (
  address text primary key not null,
  reason text not null,
  detail text not null,            -- the reply or the DSN's text
  actor text,
  created_at bigint not null
);

-- Bare 550s: the second one a day apart suppresses.
create table address_fault (
  address text primary key not null,
  first_at bigint not null
);

create table opt_out (
  partner_id text not null,
  address text not null,
  at bigint not null,
  delivery_id bigint,              -- by which mail
  primary key (partner_id, address)
);
-- index: suppressions_opt_outs_of_address
create index opt_out_address on opt_out (address, partner_id);
