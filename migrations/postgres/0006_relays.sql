-- How each worker finds each relay, for `status`. Written when a worker begins and when a circuit changes, never for each mail.
create table relay_circuit (
  epoch bigint not null,           -- the worker: circuits are its own
  relay text not null,             -- host:port
  position bigint not null,        -- its place in smtp.relays, from 0
  state text not null check (state in ('closed', 'open', 'half_open')),
  since bigint not null,
  try_at bigint,                   -- when a mail may go to it again: the end of its pause, or of its full hour or day
  why text,                        -- what it said last before it was left alone
  primary key (epoch, relay)
);

-- How many mails the whole fleet may have sent by a relay that has a limit. A worker enters a few before it sends them and gives back what it did not
-- use; what a crash keeps it from giving back counts as sent.
create table relay_sent (
  relay text primary key not null,
  hour_at bigint not null,         -- when the hour of `this_hour` began
  this_hour bigint not null,
  day_at bigint not null,          -- when the day of `today` began, UTC
  today bigint not null
);
