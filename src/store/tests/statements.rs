//! Every statement is one that both engines understand.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use crate::store::rows::sqlite_texts;
use crate::store::statements;
use crate::store::testing::both;

/// What only runs in a rare case must not be found wrong in that case.
#[test]
fn every_statement_is_prepared_by_both_engines() {
    both(async |store| {
        let mut wrong = Vec::new();
        for sql in statements() {
            let texts = if store.is_embedded() {
                sqlite_texts(sql)
            } else {
                vec![sql.postgres.to_owned()]
            };
            for text in texts {
                let text = AssertSqlSafe(text).into_sql_str();
                let prepared = match (store.sqlite(), store.postgres()) {
                    (Some(pool), _) => pool.prepare(text).await.map(|_| ()),
                    (None, Some(pool)) => pool.prepare(text).await.map(|_| ()),
                    (None, None) => unreachable!("a store is one of the two"),
                };
                if let Err(error) = prepared {
                    wrong.push(format!("{}: {error}", sql.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// The name is what the server's statistics, the logs and the plan test's exemptions know a statement by.
#[test]
fn every_statement_has_a_name_of_its_own_and_bears_it() {
    let mut names = BTreeSet::new();
    for sql in statements() {
        assert!(names.insert(sql.name), "two statements are called {}", sql.name);
        let comment = format!("/* {} */ ", sql.name);
        assert!(
            sql.sqlite.starts_with(&comment) && sql.postgres.starts_with(&comment),
            "{}",
            sql.name
        );
    }
}
