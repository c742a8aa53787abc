//! The relay and the Action Center, in memory: what they got, and how they behave. They stand where the wire would be: above them everything is the
//! program's own, below them (SMTP, TLS, MIME, HTTP) nothing is simulated; `tests/it` has real servers for that.

use std::collections::{BTreeMap, BTreeSet};

use posthorn::app::record::TryResult;
use posthorn::outbox::{Reply, Stage};

use crate::model::Came;
use crate::rng::Rng;

/// How a relay behaves: chances in 1,000.
pub struct Relay {
    pub is_well: bool,
    lost: u64,
    later: u64,
    fault: u64,
    refused: u64,
    bare: u64,
    bad_message: u64,
    /// Mailboxes that are gone.
    pub dead: BTreeSet<String>,
}

impl Relay {
    pub fn new(rng: &mut Rng) -> Self {
        let mut chance = |most: u64| if rng.percent(50) { rng.below(most) } else { 0 };
        Self {
            is_well: false,
            lost: chance(150),
            later: chance(250),
            fault: chance(60),
            refused: chance(40),
            bare: chance(80),
            bad_message: chance(30),
            dead: BTreeSet::new(),
        }
    }

    /// Is asked to take a mail. Says what its client sees, what that is to the delivery, and whether it has the mail.
    pub fn deliver(&self, rng: &mut Rng, address: &str) -> (TryResult, Came, bool) {
        if self.dead.contains(address) {
            let reply = Reply::new(550, "5.1.1 no such user");
            return (TryResult::Refused(Stage::RcptTo, reply), Came::DeadAddress, false);
        }
        let taken = (TryResult::Accepted(Some(Reply::new(250, "2.0.0 queued"))), Came::Accepted, true);
        if self.is_well {
            return taken;
        }
        let rest = 1000_u64.saturating_sub(self.lost + self.later + self.fault + self.refused + self.bare + self.bad_message);
        let weights = [self.lost, self.later, self.fault, self.refused, self.bare, self.bad_message, rest];
        let lost = "the connection ended";
        match rng.weighted(&weights) {
            0 => (TryResult::ReplyLost(lost.into()), Came::ReplyLost, rng.percent(60)),
            1 if rng.percent(30) => (
                TryResult::Unreachable(Stage::Connect, "connection refused".into()),
                Came::Later,
                false,
            ),
            1 if rng.percent(30) => (
                TryResult::Refused(Stage::FinalDot, Reply::new(421, "4.3.2 going down")),
                Came::Later,
                false,
            ),
            1 => (
                TryResult::Refused(Stage::RcptTo, Reply::new(450, "4.2.0 greylisted")),
                Came::Later,
                false,
            ),
            2 => (
                TryResult::Refused(Stage::Auth, Reply::new(535, "5.7.8 bad credentials")),
                Came::RelayFault,
                false,
            ),
            3 => (
                TryResult::Refused(Stage::RcptTo, Reply::new(550, "5.7.1 not wanted here")),
                Came::Refused,
                false,
            ),
            4 => (TryResult::Refused(Stage::RcptTo, Reply::new(550, "no")), Came::BareRefusal, false),
            5 => (
                TryResult::Refused(Stage::FinalDot, Reply::new(554, "5.6.0 not this message")),
                Came::BadMessage,
                false,
            ),
            _ => taken,
        }
    }
}

/// The portal's bell: keeps the newest version of each item that it was posted.
#[derive(Default)]
pub struct ActionCenter {
    pub items: BTreeMap<i64, (i64, String)>,
}

impl ActionCenter {
    /// Is posted an item; an older version than it has is nothing to it.
    pub fn post(&mut self, seq: i64, version: i64, state: &str) {
        let kept = self.items.entry(seq).or_insert((0, String::new()));
        if version > kept.0 {
            *kept = (version, state.to_owned());
        }
    }
}
