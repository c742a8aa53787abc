//! What the tests work with: posthorn itself as an operator sees it, the records that it is given, and the servers that it talks to.

// A verb stays although the test that used it last has gone: the next one finds it here.
#![allow(dead_code)]

pub mod database;
pub mod dkim;
pub mod dns;
pub mod http;
pub mod inside;
pub mod ledger;
pub mod nats;
pub mod posthorn;
pub mod records;
pub mod sink;
pub mod smtp;
pub mod web;
