-- Whether a worker commits a mark before it hands a mail over (worker.in_doubt = hold): only then does a missing mark say that no byte went out.
-- Those of before are not known to have.
alter table worker add column is_marking boolean not null default false;
