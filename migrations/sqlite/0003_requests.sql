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
