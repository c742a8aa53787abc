-- What was handed over, byte for byte (`mail.keep_sent`): who asks what exactly a partner got is shown it.
-- The same table stands in migrations/postgres with that engine's words; a test compares the two.

-- By delivery, so that what erases a person (R-ERASE) finds what is kept of him by the deliveries that told of him.
create table kept_mail (
  delivery_id integer primary key,  -- whose mail it is,
  kept_at bigint not null,         -- when it was recorded; how long it stays is for the setting to say
  n_bytes bigint not null,         -- its size as it was handed over
  mail blob not null              -- compressed (zlib)
);
-- index: kept.forget, kept.oldest
create index kept_mail_kept_at on kept_mail (kept_at);
