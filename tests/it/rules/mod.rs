//! The rules of the domain, one module a rule, told by what an operator sees: mails in the Maildir, and the answers of commands.
//!
//! **Not here:** the rules' tables of pure cases, which stand beside the code.

mod action;
mod channel;
mod decline;
mod digest;
mod expiry;
mod intake;
mod kind;
mod letter;
mod locale;
mod modes;
mod recipient;
mod sync;

use crate::support::posthorn::{Mail, Posthorn};

/// Returns who got mails of a kind, in order.
fn receivers(posthorn: &Posthorn, kind: &str) -> Vec<String> {
    let mut to: Vec<String> = posthorn.mails_of(kind).into_iter().map(|mail| mail.to).collect();
    to.sort();
    to
}

/// Returns how many mails of a kind went to an address.
fn n_mails(posthorn: &Posthorn, kind: &str, to: &str) -> usize {
    posthorn.mails_of(kind).iter().filter(|mail| mail.to == to).count()
}

/// Returns the ids of the leads that a mail links to, in the order in which its text does.
fn linked(mail: &Mail) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for part in mail.text.split("https://portal.example/leads/").skip(1) {
        let id = part.split(|c: char| c.is_whitespace() || c == ')').next().unwrap_or_default();
        ids.push(id.to_owned());
    }
    ids
}
