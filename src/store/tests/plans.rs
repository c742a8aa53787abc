//! Query plans: no statement of intake, claim, timers, recovery or lists reads a whole table, however much was sent before.
//!
//! Tables are filled as they are after a year, most rows finished, and analysed. PostgreSQL is asked for the plan that it makes without knowing the
//! parameters, which is the one that a prepared statement may get.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};

use crate::store::rows::sqlite_texts;
use crate::store::testing::{execute, on_postgres, on_sqlite, read};
use crate::store::{Sql, Store, statements};

/// Tables that grow with what has happened. `worker` and `meta` do not.
const BIG: &[&str] = &[
    "lead",
    "notice",
    "delivery",
    "attempt",
    "digest",
    "item",
    "history",
    "rejected",
    "partner",
    "partner_address",
    "partner_state",
    "suppression",
    "address_fault",
    "opt_out",
    "known_resource",
    "bounce",
    "kept_mail",
    "lead_facet",
];

/// Statements that may read a whole table, and why.
const MAY_SCAN: &[(&str, &str)] = &[
    (
        "notices.count_by_state",
        "`status` and `audit`: sums over everything, run by a person",
    ),
    (
        "deliveries.count_by_state",
        "`status` and `audit`: sums over everything, run by a person",
    ),
    ("suppressions.count", "`status`: run by a person, over a small table"),
    ("meta.has_leads", "`migrate --rehearsal`: run by a person, and reads one row"),
    (
        "facets.ascending",
        "a list of all partners by customer or validity: asked for by a person, and sorted whole",
    ),
    ("facets.descending", "likewise"),
    ("items.post_all", "once at start, where an Action Center is configured"),
];

/// Statements that PostgreSQL lets go through all that is open, once, where it believes that to be little: that is what they are about.
const MAY_GO_THROUGH_OPEN: &[&str] = &[
    "deliveries.suppress",
    "digests.collecting",
    "leads.held",
    "notices.unpark",
    "rejected.find_open_of_leads",
];

/// Statements that give rows in the order of an index: sorting would read all that is due before the first row comes.
const IN_ORDER: &[&str] = &[
    "leads.due",
    "verify.claim",
    "leads.to_erase",
    "notices.due",
    "digests.due",
    "digests.all_collecting",
    "deliveries.claim",
    "deliveries.doubtful",
    "deliveries.list",
    "items.claim",
    "items.list",
    "leads.of_partner",
    "facets.newest",
    "facets.oldest",
    "facets.newest_of_partner",
    "facets.oldest_of_partner",
    "facets.after",
    "items.changed",
    "partners.list",
    "suppressions.list",
    "rejected.list",
    "bounces.list",
    "bounces.list_state",
    "bounces.candidates",
    "kept.forget",
    "resources.claim",
    "resources.forget",
    "history.of_lead",
    "history.of_partner",
    "history.of_address",
];

/// `n` rows a table, of which the last `n_open` are still open; `m` partners and addresses.
fn seed(n: u32, n_open: u32, m: u32) -> String {
    let numbers = |n: u32| format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {n})");
    let (n_rows, n_few) = (numbers(n), numbers(m));
    let open = n - n_open;
    format!(
        "{n_rows} insert into lead (id, partner_id, created_at, received_at, version, kind, stage, stage_since, expires_at, is_cooled, is_expiring,
           is_archived, next_due_at, channel, day, day_number, digest_id, reminder_id, expiry_id, is_quiet, customer, record)
         select 'lead-' || i, 'partner-' || (i % {m}), i * 1000, i * 1000, 0, 'contact', case when i > {open} then 'received' else 'expired' end, i * 1000,
           i * 1000 + 86400000, false, false, false, case when i > {open} then i * 1000 + 86400000 end,
           case when i % 500 = 0 and i > {open} then 'held' when i % 3 = 0 then 'digest' else 'single' end, '2026-03-02', i,
           case when i % 3 = 0 then i end, case when i % 5 = 0 then i end, case when i % 7 = 0 then i end, false, 'Customer',
           '{filler}' from n;
         {n_rows} insert into lead_facet (seq, tab, origin, country, customer, is_person, words, contact_words)
         select i, 'Marketplace', 'Offer', 'DE', 'customer', false, '{filler}', 'ada' from n;
         {n_rows} insert into digest (partner_id, state, due_at, opened_at, closed_at, closed_by, day, n_leads)
         select 'partner-' || i, case when i > {open} then 'collecting' else 'closed' end, i * 1000, i * 1000, case when i > {open} then null else i end,
           case when i > {open} then null else 'fire' end, '2026-03-02', 1 from n;
         {n_rows} insert into notice (kind, subject, partner_id, lead_id, digest_id, state, turn, due_at, is_reopened, created_at, finished_at)
         select case when i % 3 = 0 then 'digest' else 'lead' end, 'subject-' || i, 'partner-' || (i % {m}), case when i % 3 = 0 then null else 'lead-' || i end,
           case when i % 3 = 0 then i end, case when i > {open} then (case when i % 2 = 0 then 'pending' else 'parked' end) else 'done' end, i % 3, i * 1000,
           false, i * 1000, case when i > {open} then null else i end from n;
         {n_rows} insert into delivery (notice_id, kind, turn, partner_id, lead_id, leads, address, language, state, attempt, due_at, owner, is_repeat,
           is_resent, first_due_at, created_at, finished_at, reason)
         select i, 'lead', 0, 'partner-' || (i % {m}), 'lead-' || i, '[]', 'user-' || (i % {m}) || '@contoso.example', 'en',
           case when i > {open} then (case i % 3 when 0 then 'queued' when 1 then 'sending' else 'in_doubt' end) else 'sent' end, 1, i * 1000,
           case when i > {open} and i % 3 = 1 then i % 5 end, false, false, 0, 0, case when i > {open} then null else i end,
           'accepted: 250 2.0.0 OK queued as 0123456789ABCDEF, thank you' from n;
         {n_rows} insert into attempt (delivery_id, at, relay, stage, outcome, detail) select i, i, 'relay.example:25', 'final dot', 'sent', '{filler}' from n;
         {n_rows} insert into item (subject, partner_id, lead_id, version, title, text, link, category, is_expiring, state, is_archived, changed_at,
           post_due_at, post_attempt, post_owner, posted_version, feed_version)
         select 'lead lead-' || i, 'partner-' || (i % {m}), 'lead-' || i, 1, 'New lead', 'A customer is waiting for your answer.', 'https://portal.example',
           'recommended', false, 'open', false, i * 1000, case when i > {open} then i end, 0, case when i > {open} and i % 2 = 0 then 1 end, 1,
           case when i <= {open} then i end from n;
         {n_rows} insert into history (at, partner_id, lead_id, address, rule, event, detail)
         select i, 'partner-' || (i % {m}), case when i % 10 = 0 then null else 'lead-' || i end, case when i % 10 = 0 then 'user-' || i end, 'R-CHANNEL',
           'taken in as a contact lead; it is mailed singly', '{{}}' from n;
         {n_rows} insert into rejected (received_at, source, line, lead_id, record, record_hash, faults, state, is_quiet)
         select i, 'leads.ndjson', i, 'lead-' || i, '{{}}', '' || i, '[]', case when i > {open} then 'open' else 'discarded' end, false from n;
         {n_rows} insert into known_resource (uri, resource_id, event_name, known_at, state, due_at, attempt)
         select 'https://api.portal.example/v1/referrals/L' || i, 'L' || i, 'referral-created', i * 1000,
           case when i > {open} then 'known' else 'fetched' end, case when i > {open} then i * 1000 end, 0 from n;
         {n_rows} insert into bounce (received_at, source, identity, sort, state, delivery_id, said, reason)
         select i * 1000, 'http', '' || i, 'report', case when i > {open} then 'unmatched' else 'matched' end, case when i > {open} then null else i end,
           '550 5.1.1', '{filler}' from n;
         {n_rows} insert into kept_mail (delivery_id, kept_at, n_bytes, mail) select i, i * 1000, 9000, '' from n;
         {n_few} insert into partner (id, record, updated_at) select 'partner-' || i, '{{}}', 0 from n;
         {n_few} insert into partner_address (partner_id, address) select 'partner-' || i, 'user-' || i || '@contoso.example' from n;
         {n_few} insert into partner_state (partner_id, day_count) select 'partner-' || i, 0 from n;
         {n_few} insert into suppression (address, reason, detail, created_at) select 'user-' || i || '@contoso.example', 'hard bounce', '550 5.1.1', i from n;
         {n_few} insert into address_fault (address, first_at) select 'user-' || i || '@contoso.example', i from n;
         {n_few} insert into opt_out (partner_id, address, at) select 'partner-' || i, 'user-' || i || '@contoso.example', i from n;
         insert into worker (name, started_at, alive_until) values ('a', 0, 0), ('b', 0, 0);
         analyze;",
        filler = "x".repeat(300)
    )
}

#[test]
fn no_statement_of_a_hot_path_reads_a_whole_table_on_sqlite() {
    on_sqlite(async |store| {
        execute(&store, &seed(20_000, 200, 5_000)).await;
        let partial: Vec<String> = read(
            &store,
            "select name from sqlite_master where type = 'index' and sql like '% where %'",
        )
        .await
        .concat();
        let mut findings = Vec::new();
        for (sql, text) in statements().flat_map(|sql| sqlite_texts(sql).into_iter().map(move |text| (sql, text))) {
            let steps = sqlite_plan(&store, sql.name, &text).await;
            let scans = steps.iter().filter(|step| is_sqlite_scan(step, &partial));
            let sorts = steps
                .iter()
                .filter(|step| IN_ORDER.contains(&sql.name) && step.contains("TEMP B-TREE FOR ORDER BY"));
            findings.extend(scans.chain(sorts).map(|step| (sql.name, step.clone())));
        }
        check(findings);
    });
}

#[test]
fn no_statement_of_a_hot_path_reads_a_whole_table_on_postgresql() {
    on_postgres(async |store| {
        execute(&store, &seed(40_000, 400, 40_000)).await;
        let partial: Vec<String> = read(
            &store,
            "select indexname::text from pg_indexes where schemaname = 'public' and indexdef like '% WHERE %'",
        )
        .await
        .concat();
        let mut findings = Vec::new();
        for sql in statements() {
            let plan = postgres_plan(&store, sql).await;
            let mut found = Vec::new();
            postgres_scans(&plan[0]["Plan"], &partial, IN_ORDER.contains(&sql.name), &mut found);
            findings.extend(found.into_iter().map(|step| (sql.name, step)));
        }
        check(findings);
    });
}

/// An `analyze` in a quiet hour finds nothing open. Whoever then takes the index of what is open for the shortest way to a few rows that he is given by
/// their ids goes through all that is open, once for each: it made a mail cost twice as much when 5,000 waited.
#[test]
fn rows_given_by_id_are_not_looked_for_among_all_that_is_open_on_sqlite() {
    on_sqlite(async |store| {
        execute(&store, &seed(20_000, 0, 5_000)).await;
        let mut findings = Vec::new();
        let given_rows = statements().filter(|sql| takes_rows(sql));
        for (sql, text) in given_rows.flat_map(|sql| sqlite_texts(sql).into_iter().map(move |text| (sql, text))) {
            let steps = sqlite_plan(&store, sql.name, &text).await;
            // An index of what is open is not passed over here.
            let scans = steps.into_iter().filter(|step| is_sqlite_scan(step, &[]));
            findings.extend(scans.map(|step| (sql.name, step)));
        }
        check(findings);
    });
}

#[test]
fn rows_given_by_id_are_not_looked_for_among_all_that_is_open_on_postgresql() {
    on_postgres(async |store| {
        execute(&store, &seed(40_000, 0, 40_000)).await;
        let mut findings = Vec::new();
        for sql in statements().filter(|sql| takes_rows(sql) && !MAY_GO_THROUGH_OPEN.contains(&sql.name)) {
            let plan = postgres_plan(&store, sql).await;
            let mut found = Vec::new();
            postgres_scans(&plan[0]["Plan"], &[], false, &mut found);
            findings.extend(found.into_iter().map(|step| (sql.name, step)));
        }
        check(findings);
    });
}

fn takes_rows(sql: &Sql) -> bool {
    sql.postgres.contains("json_to_recordset")
}

fn check(findings: Vec<(&'static str, String)>) {
    // `audit` reads everything, by design.
    let is_exempt = |name: &str| name.starts_with("audit.") || MAY_SCAN.iter().any(|(exempt, _)| *exempt == name);
    let wrong: Vec<_> = findings.iter().filter(|(name, _)| !is_exempt(name)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let names: Vec<&str> = statements().map(|sql| sql.name).collect();
    for name in MAY_SCAN.iter().map(|(name, _)| name).chain(IN_ORDER).chain(MAY_GO_THROUGH_OPEN) {
        assert!(names.contains(name), "there is no statement {name} any more");
    }
}

/// Says whether a step reads a whole table or index: SQLite calls that a scan. A partial index holds what is open only.
fn is_sqlite_scan(step: &str, partial: &[String]) -> bool {
    let Some(what) = step.strip_prefix("SCAN ") else { return false };
    let table = what.split(' ').next().unwrap_or_default();
    let index = what.rsplit(' ').next().unwrap_or_default();
    BIG.contains(&table) && !partial.iter().any(|name| name == index)
}

async fn sqlite_plan(store: &Store, name: &str, text: &str) -> Vec<String> {
    let pool = store.sqlite().expect("it is SQLite");
    let text = format!("explain query plan {text}");
    let rows = sqlx::query(AssertSqlSafe(text))
        .fetch_all(pool)
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    rows.into_iter().map(|row| row.get::<String, _>("detail")).collect()
}

async fn postgres_plan(store: &Store, sql: &Sql) -> Value {
    let pool = store.postgres().expect("it is PostgreSQL");
    let mut connection = pool.acquire().await.expect("a connection");
    connection.close_on_drop();
    let n_parameters = (1..40).take_while(|n| sql.postgres.contains(&format!("${n}"))).count();
    let nulls = vec!["null"; n_parameters].join(", ");
    let execute = if n_parameters == 0 {
        "execute p".to_owned()
    } else {
        format!("execute p({nulls})")
    };
    let prepare = format!("set plan_cache_mode = force_generic_plan; prepare p as {}", sql.postgres);
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *connection)
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", sql.name));
    let explained = sqlx::raw_sql(AssertSqlSafe(format!("explain (format json) {execute}")));
    let row = explained
        .fetch_one(&mut *connection)
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", sql.name));
    // Not prepared, so that what comes is the text of the JSON.
    serde_json::from_str(row.get_unchecked(0)).expect("a plan is JSON")
}

/// Finds the nodes that read a whole table or a whole index that is not partial, and sorts where there should be none.
fn postgres_scans(node: &Value, partial: &[String], in_order: bool, found: &mut Vec<String>) {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let (kind, table, index) = (text("Node Type"), text("Relation Name"), text("Index Name"));
    let is_whole_index = kind.contains("Index")
        && node.get("Index Cond").is_none()
        && !partial.iter().any(|name| name == index)
        && kind != "Bitmap Heap Scan";
    if BIG.contains(&table) && kind == "Seq Scan" || !index.is_empty() && is_whole_index {
        found.push(format!("{kind} {table} {index}"));
    }
    if in_order && kind == "Sort" {
        found.push(format!("Sort by {}", node["Sort Key"]));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        postgres_scans(child, partial, in_order, found);
    }
}
