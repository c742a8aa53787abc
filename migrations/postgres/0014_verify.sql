-- R-VERIFY: how often the mail domain was asked for; begins anew with newer content.
alter table lead add column verify_attempt bigint not null default 0;

-- Leads that came before posthorn looked at e-mail and phone are looked at by the next `verify`, or by `serve`.
update lead set verify_at = 0 where erased_at is null and (record like '%"offer"%' or record like '%"SolutionProfile"%');
