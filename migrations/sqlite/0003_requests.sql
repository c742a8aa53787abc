-- Requests that came with an Idempotency-Key, and what they were answered, for a day: the same again is answered the same, and done once.
create table request_key (
  caller text not null,            -- name of the token: keys of two callers never meet
  key text not null,
  fingerprint text not null,       -- of path and body: the same key with something else is a mistake
  begun_at bigint not null,
  status bigint,                   -- null while it is under way
  answer text,
  primary key (caller, key)
);
-- index: requests.forget
create index request_key_by_age on request_key (begun_at);

-- Resources that the portal's webhook named without their content: known, and fetched where the configuration says how.
create table known_resource (
  uri text primary key not null,
  resource_id text not null,       -- last segment of the address: what `explain` is asked for
  event_name text not null,        -- of the newest event
  known_at bigint not null,        -- of the newest event
  state text not null check (state in ('known', 'fetched', 'failed')),
  due_at bigint,                   -- when it is fetched; null exactly when it is not to be
  attempt bigint not null,
  detail text,                     -- how the last try went
  check ((state = 'known') = (due_at is not null))
);
-- index: resources.claim, resources.next_due, resources.count_known
create index known_resource_due on known_resource (due_at) where state = 'known';
-- index: resources.forget
create index known_resource_settled on known_resource (known_at) where state <> 'known';
-- index: resources.of_id
create index known_resource_by_id on known_resource (resource_id);
