-- Links in mails that somebody may act by, and leads that a reader sends on to a colleague.
-- The same tables stand in migrations/postgres with that engine's words; a test compares the two.

-- Keys that sign those links: the newest signs, the older ones verify what lies in mailboxes for a year and more (src/link).
create table link_key (
  id integer primary key,          -- named by each token
  secret text not null,            -- hexadecimal
  made_at bigint not null
);

-- To whom and by whom the lead was sent on from its mail, JSON; null where R-RECIPIENT says who is told.
alter table notice add column forward text;
-- Who sent the lead on to this address; null where R-RECIPIENT chose it.
alter table delivery add column forwarded_by text;
