-- What came to where bounces go: reports of what became of mails, and what could be tied to none.
-- The same table stands in migrations/postgres with that engine's words; a test compares the two.

create table bounce (
  id integer primary key,
  received_at bigint not null,
  source text not null,            -- file name, or the way it came
  identity text not null unique,   -- SHA-256 of its Message-ID, or of the whole mail: the same again changes nothing
  sort text not null check (sort in ('report', 'auto_reply', 'complaint', 'other')),
  state text not null check (state in ('matched', 'unmatched', 'ignored')),
  class text check (class in ('delivered', 'expanded', 'relayed', 'delayed', 'soft', 'hard')),
  delivery_id bigint,              -- whose mail it is about, as far as that is believed
  matched_by text check (matched_by in ('return_address', 'envelope_id', 'message_id')),
  address text,                    -- of whom it speaks
  said text not null,              -- the other side's words
  reason text not null,            -- what followed, or why nothing did
  raw text                         -- the mail, cut; only of what was not matched, and for a while
);
-- index: bounces.list_state
create index bounce_state on bounce (state, id);
-- index: bounces.forget, bounces.forget_oldest
create index bounce_kept on bounce (received_at) where state <> 'matched';
