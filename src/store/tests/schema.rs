//! The two schemas are one: tables, columns, keys, checks and indexes, and the words of the core in them.

use std::collections::{BTreeMap, BTreeSet};

use crate::lead::{Stage, kind::Kind as LeadKind};
use crate::outbox::bounce::Class;
use crate::outbox::{Kind, circuit, delivery, notice};
use crate::policy::channel::Channel;
use crate::store::Store;
use crate::store::testing::{both, on_postgres, on_sqlite, read};
use crate::time::Timestamp;

const OPEN: circuit::Open = circuit::Open {
    since: Timestamp::from_millis(0),
    cause: circuit::Cause::Away,
    until: Timestamp::from_millis(0),
    n_tries: 0,
};

/// A schema in words that do not depend on the engine, one a line.
type Schema = BTreeSet<String>;

#[test]
fn the_two_engines_have_the_same_tables_columns_keys_checks_and_indexes() {
    let (sqlite, postgres) = (std::sync::Mutex::new(Schema::new()), std::sync::Mutex::new(Schema::new()));
    let keep = async |store: Store| {
        let schema = describe(&store).await;
        assert!(schema.len() > 200, "the schema was not read: {schema:#?}");
        *if store.is_embedded() { &sqlite } else { &postgres }
            .lock()
            .expect("nobody panicked") = schema;
    };
    on_sqlite(keep);
    on_postgres(keep);
    let (sqlite, postgres) = (
        sqlite.into_inner().expect("nobody panicked"),
        postgres.into_inner().expect("nobody panicked"),
    );
    if !postgres.is_empty() {
        let only_sqlite: Vec<_> = sqlite.difference(&postgres).collect();
        let only_postgres: Vec<_> = postgres.difference(&sqlite).collect();
        assert!(
            only_sqlite.is_empty() && only_postgres.is_empty(),
            "only in SQLite: {only_sqlite:#?}\nonly in PostgreSQL: {only_postgres:#?}"
        );
    }
}

/// A word that the core writes and the check refuses would be found by whoever first gets that far.
#[test]
fn the_words_under_a_check_are_the_words_of_the_core() {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    let expected: BTreeMap<&str, BTreeSet<String>> = [
        ("lead.stage", words(&Stage::ALL.map(Stage::as_str))),
        ("lead.kind", words(&LeadKind::ALL.map(LeadKind::as_str))),
        ("lead.channel", words(&Channel::ALL.map(Channel::as_str))),
        ("digest.state", words(&["collecting", "closed"])),
        ("digest.closed_by", words(&["fire", "manual"])),
        ("notice.kind", words(&Kind::ALL.map(Kind::as_str))),
        ("notice.state", words(&notice::State::ALL.map(notice::State::as_str))),
        ("delivery.state", words(&delivery::State::ALL.map(delivery::State::as_str))),
        ("item.category", words(&["recommended", "mandatory"])),
        ("item.urgency", words(&["urgent", "cooled"])),
        ("item.state", words(&["open", "done", "withdrawn"])),
        ("known_resource.state", words(&["known", "fetched", "failed"])),
        ("bounce.sort", words(&["report", "auto_reply", "complaint", "other"])),
        ("bounce.state", words(&["matched", "unmatched", "ignored"])),
        ("bounce.class", words(&Class::ALL.map(Class::as_str))),
        ("bounce.matched_by", words(&["return_address", "envelope_id", "message_id"])),
        (
            "relay_circuit.state",
            words(&[
                circuit::State::Closed.as_str(),
                circuit::State::Open(OPEN).as_str(),
                circuit::State::HalfOpen(OPEN).as_str(),
            ]),
        ),
        ("rejected.state", words(&["open", "taken_in", "discarded"])),
    ]
    .into();
    both(async |store| {
        let schema = describe(&store).await;
        let checked: BTreeMap<String, BTreeSet<String>> = schema.iter().filter_map(|line| words_of(line)).collect();
        let expected: BTreeMap<String, BTreeSet<String>> =
            expected.iter().map(|(name, words)| ((*name).to_owned(), words.clone())).collect();
        assert_eq!(checked, expected);
    });
}

/// Final states are those that have `finished_at`: the check repeats what the core says.
#[test]
fn a_row_is_finished_exactly_when_its_state_is_final() {
    let finals = |words: Vec<&str>| {
        let words: Vec<String> = words.into_iter().map(|word| format!("'{word}'")).collect();
        format!("statein{}=finished_atisnotnull", words.join(","))
    };
    let notices = notice::State::ALL
        .into_iter()
        .filter(|state| state.is_final())
        .map(notice::State::as_str);
    let deliveries = delivery::State::ALL
        .into_iter()
        .filter(|state| state.is_final())
        .map(delivery::State::as_str);
    let expected = [
        format!("check notice {}", finals(notices.collect())),
        format!("check delivery {}", finals(deliveries.collect())),
    ];
    both(async |store| {
        let schema = describe(&store).await;
        for line in &expected {
            assert!(schema.contains(line), "{line} is not among {schema:#?}");
        }
    });
}

/// Reads `check lead stagein'a','b'` as the column and its words.
fn words_of(line: &str) -> Option<(String, BTreeSet<String>)> {
    let (table, rest) = line.strip_prefix("check ")?.split_once(' ')?;
    let (column, words) = rest.split_once("in'")?;
    let words = words.strip_suffix('\'')?;
    (!words.contains('=')).then(|| (format!("{table}.{column}"), words.split("','").map(str::to_owned).collect()))
}

async fn describe(store: &Store) -> Schema {
    if store.is_embedded() {
        describe_sqlite(store).await
    } else {
        describe_postgres(store).await
    }
}

async fn describe_sqlite(store: &Store) -> Schema {
    let mut schema = Schema::new();
    for table in read(
        store,
        "select name, sql from sqlite_master where type = 'table' and name not like '\\_sqlx%' escape '\\' and name not like 'sqlite%'",
    )
    .await
    {
        let (name, sql) = (&table[0], &table[1]);
        let columns =
            format!("select name, lower(type), cast(\"notnull\" as text), cast(pk as text) from pragma_table_info('{name}') order by cid");
        let mut key = BTreeMap::new();
        for column in read(store, &columns).await {
            let is_key = column[3] != "0";
            // `integer primary key` is the row id: a bigint that is never null, whatever the pragma says.
            let kind = match column[1].as_str() {
                "integer" => "bigint",
                "blob" => "bytea",
                other => other,
            };
            let null = if is_key || column[2] == "1" { "not null" } else { "null" };
            schema.insert(format!("column {name}.{} {kind} {null}", column[0]));
            if is_key {
                key.insert(column[3].clone(), column[0].clone());
            }
        }
        schema.insert(format!("primary key {name} ({})", key.into_values().collect::<Vec<_>>().join(", ")));
        for check in checks_in(sql) {
            schema.insert(format!("check {name} {}", plain(&check)));
        }
        let indexes = format!(
            "select l.name, cast(l.\"unique\" as text), l.origin, (select group_concat(i.name, ', ') from (select name from pragma_index_info(l.name) order by seqno) as i),
               (select sql from sqlite_master where name = l.name)
             from pragma_index_list('{name}') as l where l.origin <> 'pk'"
        );
        for index in read(store, &indexes).await {
            let filter = index[4].split_once(" where ").map(|(_, filter)| plain(filter)).unwrap_or_default();
            schema.insert(index_line(name, &index[0], index[2] == "u", index[1] == "1", &index[3], &filter));
        }
    }
    schema
}

async fn describe_postgres(store: &Store) -> Schema {
    let mut schema = Schema::new();
    for column in read(
        store,
        "select table_name::text, column_name::text, data_type::text, is_nullable::text from information_schema.columns
         where table_schema = 'public' and table_name not like '\\_sqlx%'",
    )
    .await
    {
        let null = if column[3] == "NO" { "not null" } else { "null" };
        schema.insert(format!("column {}.{} {} {null}", column[0], column[1], column[2]));
    }
    for check in read(
        store,
        "select t.relname::text, pg_get_constraintdef(c.oid) from pg_constraint c join pg_class t on t.oid = c.conrelid
         join pg_namespace n on n.oid = t.relnamespace where n.nspname = 'public' and c.contype = 'c'",
    )
    .await
    {
        let text = check[1].trim_start_matches("CHECK");
        schema.insert(format!("check {} {}", check[0], plain(text)));
    }
    for index in read(
        store,
        "select t.relname::text, i.relname::text, x.indisunique::text, x.indisprimary::text, (c.contype = 'u')::text,
           (select string_agg(a.attname::text, ', ' order by k.ord) from unnest(x.indkey::int2[]) with ordinality k(num, ord)
            join pg_attribute a on a.attrelid = t.oid and a.attnum = k.num),
           pg_get_expr(x.indpred, x.indrelid)
         from pg_index x join pg_class t on t.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
         join pg_namespace n on n.oid = t.relnamespace left join pg_constraint c on c.conindid = i.oid and c.contype = 'u'
         where n.nspname = 'public' and t.relname not like '\\_sqlx%'",
    )
    .await
    {
        if index[3] == "true" {
            schema.insert(format!("primary key {} ({})", index[0], index[5]));
        } else {
            let filter = if index[6] == "-" { String::new() } else { plain(&index[6]) };
            schema.insert(index_line(
                &index[0],
                &index[1],
                index[4] == "true",
                index[2] == "true",
                &index[5],
                &filter,
            ));
        }
    }
    schema
}

/// A unique constraint's index is named by its engine; any other by us.
fn index_line(table: &str, name: &str, is_constraint: bool, is_unique: bool, columns: &str, filter: &str) -> String {
    let name = if is_constraint { "" } else { name };
    let unique = if is_unique { "unique " } else { "" };
    format!("{unique}index {name} on {table} ({columns}) where {filter}")
}

/// Finds the checks in the text of a `create table`, comments left out.
fn checks_in(sql: &str) -> Vec<String> {
    let sql: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ");
    let mut checks = Vec::new();
    for (at, word) in sql.match_indices("check (") {
        let mut depth = 1;
        let inside: String = sql[at + word.len()..]
            .chars()
            .take_while(|character| {
                depth += i32::from(*character == '(') - i32::from(*character == ')');
                depth > 0
            })
            .collect();
        checks.push(inside);
    }
    checks
}

/// Writes an expression as both engines would: without spaces, parentheses and casts, `= any (array[…])` and `= … or = …` as `in`.
fn plain(expression: &str) -> String {
    let lower = expression.replace("::text[]", "").replace("::text", "").to_lowercase();
    let bare: String = lower
        .chars()
        .filter(|character| !character.is_whitespace() && !matches!(character, '(' | ')'))
        .collect();
    let listed = bare.replace("=anyarray[", "in").replace(']', "");
    match listed.split_once("='") {
        Some((column, _)) if listed.contains(&format!("or{column}='")) => {
            listed
                .replace(&format!("or{column}='"), ",'")
                .replacen(&format!("{column}='"), &format!("{column}in'"), 1)
        }
        _ => listed,
    }
}
