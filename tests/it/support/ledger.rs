//! The books of a crash test: what the relay got against what the database says, after each death and at the end.
//!
//! A mail whose final dot was out when the process died, and whose outcome was not committed, is *uncertain*: it may come once more, under the
//! same Message-ID. Nothing else may come twice, and nothing may be missing.

use std::collections::{BTreeMap, BTreeSet};

use super::database::query;
use super::posthorn::{self, Posthorn};
use super::smtp;

/// A mail by what it is about: receiver, kind, and for a single its lead.
pub type Told = (String, String, String);

/// What has been seen so far in one life of a database.
#[derive(Default)]
pub struct Ledger {
    /// How often each Message-ID may come once more.
    uncertain: BTreeMap<String, usize>,
    pub n_deaths: usize,
}

/// What came of it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub n_deaths: usize,
    pub n_mails: usize,
    pub n_uncertain: usize,
    pub n_repeats: usize,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.n_deaths += other.n_deaths;
        self.n_mails += other.n_mails;
        self.n_uncertain += other.n_uncertain;
        self.n_repeats += other.n_repeats;
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            n_deaths,
            n_mails,
            n_uncertain,
            n_repeats,
        } = self;
        write!(
            f,
            "killed {n_deaths} times, {n_mails} mails, {n_repeats} repeats of at most {n_uncertain} that were out and not recorded, 0 lost"
        )
    }
}

impl Ledger {
    /// Writes down what is uncertain right after the death of a process that was the only one to talk to `relay`, where `n_before` mails were then.
    pub fn died(&mut self, posthorn: &Posthorn, relay: &smtp::Relay, n_before: usize) {
        relay.wait_until_quiet();
        self.n_deaths += 1;
        let sent = sent(posthorn);
        let out: BTreeSet<String> = relay.mails()[n_before..].iter().map(message_id).collect();
        for id in out.difference(&sent) {
            *self.uncertain.entry(id.clone()).or_default() += 1;
        }
    }

    /// Demands that what the relay has is what the database says, that only what was uncertain came twice, and that nothing is unfinished.
    #[track_caller]
    pub fn balance(&self, posthorn: &Posthorn, relays: &[&smtp::Relay]) -> Sums {
        for relay in relays {
            relay.wait_until_quiet();
        }
        let mails: Vec<smtp::Mail> = relays.iter().flat_map(|relay| relay.mails()).collect();
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        let mut ids_of: BTreeMap<Told, BTreeSet<String>> = BTreeMap::new();
        for mail in &mails {
            let id = message_id(mail);
            *times.entry(id.clone()).or_default() += 1;
            let told = told(mail);
            // Several digests or gathered mails may go to one address; several singles about one lead may not.
            if told.1 == "lead" {
                ids_of.entry(told).or_default().insert(id);
            }
        }
        for (told, ids) in &ids_of {
            assert_eq!(ids.len(), 1, "{told:?} was told under several Message-IDs: {ids:?}");
        }
        let noted = ids_where(posthorn, "is_repeat");
        for (id, n) in &times {
            assert!(*n == 1 || noted.contains(id), "{id} came {n} times, and it is not noted");
            let n_max = 1 + self.uncertain.get(id).copied().unwrap_or(0);
            assert!(*n <= n_max, "{id} came {n} times, and at most {n_max} are excused");
        }
        let sent = sent(posthorn);
        let out: BTreeSet<String> = times.keys().cloned().collect();
        assert_eq!(sent, out, "what is recorded as sent is what the relay has");
        let open = query(
            posthorn,
            "select cast(id as text), kind, address, state, reason from delivery where state in ('queued', 'sending', 'in_doubt')",
        );
        assert!(open.is_empty(), "deliveries are unfinished: {open:?}");
        let twice = query(
            posthorn,
            "select kind, subject, cast(count(*) as text) from notice group by kind, subject having count(*) > 1",
        );
        assert!(twice.is_empty(), "noticed twice: {twice:?}");
        let torn = query(
            posthorn,
            "select cast(d.id as text) from digest d where d.state = 'closed' and d.n_leads > 0
             and 1 <> (select count(*) from notice n where n.kind = 'digest' and n.digest_id = d.id)",
        );
        assert!(torn.is_empty(), "digests closed without their one notice: {torn:?}");
        Sums {
            n_deaths: self.n_deaths,
            n_mails: mails.len(),
            n_uncertain: self.uncertain.values().sum(),
            n_repeats: mails.len() - out.len(),
        }
    }
}

/// Lists what the relay was given, each once.
pub fn all_told(relay: &smtp::Relay) -> BTreeSet<Told> {
    relay.mails().iter().map(told).collect()
}

fn told(mail: &smtp::Mail) -> Told {
    let read = posthorn::Mail::parse(mail.data.clone(), std::path::Path::new("a mail at the relay"));
    // Every lead of these tests is called `Deal ID`, and only a single says so in its subject or text alone.
    let lead = if read.kind == "lead" {
        let at = read.text.find("Deal ").expect("a mail names its lead");
        read.text[at + 5..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect()
    } else {
        String::new()
    };
    (mail.recipient(), read.kind, lead)
}

/// Reads a mail's Message-ID, without its angle brackets.
pub fn message_id(mail: &smtp::Mail) -> String {
    posthorn::Mail::parse(mail.data.clone(), std::path::Path::new("a mail at the relay")).message_id
}

/// Returns the Message-IDs of what is recorded as sent.
fn sent(posthorn: &Posthorn) -> BTreeSet<String> {
    ids_where(posthorn, "state = 'sent'")
}

fn ids_where(posthorn: &Posthorn, condition: &str) -> BTreeSet<String> {
    let key = query(posthorn, "select value from meta where key = 'message_id_key'");
    let Some(key) = key.first().map(|row| unhex(&row[0])) else {
        return BTreeSet::new();
    };
    query(posthorn, &format!("select cast(id as text) from delivery where {condition}"))
        .iter()
        .map(|row| ::posthorn::mail::message_id(&key, row[0].parse().expect("an id is a number"), "portal.example"))
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex is ASCII"), 16).expect("hex"))
        .collect()
}
