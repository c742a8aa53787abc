//! What the Action Center says of a lead, or of an address that cannot be used (`R-ACTION`).
//!
//! No contact data goes in: an item outlives its lead's expiry (`R-EXPIRY`).

use crate::lead::model::{Lead, Urgency};
use crate::lead::stage::Stage;
use crate::partner::EmailAddress;
use crate::time::Timestamp;

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Somebody has to do something.
    Open,
    /// It was done.
    Done,
    /// It was not done in time, or its lead was erased.
    Withdrawn,
}

impl State {
    /// Returns the word that the store keeps and the feed shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// How strongly an item asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// An answer is recommended.
    Recommended,
    /// Mail cannot reach the partner until this is done.
    Mandatory,
}

impl Category {
    /// Returns the word that the store keeps and the feed shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recommended => "recommended",
            Self::Mandatory => "mandatory",
        }
    }
}

/// The newest state of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub text: String,
    /// Where it leads; empty where nowhere.
    pub link: String,
    /// When the lead expires.
    pub due_at: Option<Timestamp>,
    /// How strongly it asks.
    pub category: Category,
    /// The flame.
    pub urgency: Option<Urgency>,
    /// Whether the lead expires soon.
    pub is_expiring: bool,
    /// What has become of it.
    pub state: State,
}

/// The sentences of one language.
struct Phrases {
    lead_from: &'static str,
    urgent: &'static str,
    cooled: &'static str,
    plain: &'static str,
    expiring: &'static str,
    answered: &'static str,
    expired: &'static str,
    erased: &'static str,
    erased_text: &'static str,
    unreachable: &'static str,
    unreachable_text: &'static str,
    opted_out: &'static str,
    opted_out_text: &'static str,
}

const ENGLISH: Phrases = Phrases {
    lead_from: "New lead from {}",
    urgent: "The customer asked to be contacted: contact the customer as soon as possible.",
    cooled: "Still active: if you are interested, contact the customer.",
    plain: "A customer is waiting for your answer.",
    expiring: "This lead expires soon.",
    answered: "This lead has been answered.",
    expired: "This lead expired before anybody answered it.",
    erased: "Erased lead",
    erased_text: "The personal data of this lead has been erased.",
    unreachable: "Mail to {} cannot be delivered",
    unreachable_text: "Lead notifications to this address are stopped. Please enter another address, or have this one repaired.",
    opted_out: "{} has unsubscribed from lead mails",
    opted_out_text: "New leads are no longer mailed to this address. Resubscribe it if that was a mistake.",
};

const GERMAN: Phrases = Phrases {
    lead_from: "Neuer Lead von {}",
    urgent: "Der Kunde bittet um Kontakt: Bitte melden Sie sich so bald wie möglich.",
    cooled: "Noch aktiv: Bei Interesse melden Sie sich bitte beim Kunden.",
    plain: "Ein Kunde wartet auf Ihre Antwort.",
    expiring: "Dieser Lead läuft bald ab.",
    answered: "Dieser Lead ist beantwortet.",
    expired: "Dieser Lead ist abgelaufen, bevor ihn jemand beantwortet hat.",
    erased: "Gelöschter Lead",
    erased_text: "Die personenbezogenen Daten dieses Leads sind gelöscht.",
    unreachable: "E-Mails an {} sind nicht zustellbar",
    unreachable_text: "Diese Adresse erhält keine Lead-Benachrichtigungen mehr. Bitte hinterlegen Sie eine andere oder lassen Sie sie reparieren.",
    opted_out: "{} hat die Lead-E-Mails abbestellt",
    opted_out_text: "Neue Leads gehen nicht mehr per E-Mail an diese Adresse. War das ein Versehen, melden Sie sie bitte wieder an.",
};

/// Returns the sentences for the first wanted language that there are some for (`R-LOCALE`).
fn phrases(languages: &[&str]) -> &'static Phrases {
    for language in languages {
        match language.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("de") => return &GERMAN,
            Some("en") => return &ENGLISH,
            _ => {}
        }
    }
    &ENGLISH
}

/// Says what an open or settled lead looks like in the Action Center at `now`.
pub fn lead_item(lead: &Lead, now: Timestamp, languages: &[&str], lead_url: &str) -> Content {
    let say = phrases(languages);
    let urgency = lead.urgency_at(now);
    if lead.is_erased() {
        return Content {
            title: say.erased.to_owned(),
            text: say.erased_text.to_owned(),
            link: deep_link(lead_url, lead.id.as_str()),
            due_at: lead.expires_at,
            category: Category::Recommended,
            urgency,
            is_expiring: false,
            state: State::Withdrawn,
        };
    }
    let is_expiring = lead.is_expiring_at(now);
    let (state, mut text) = match lead.stage_at(now) {
        Stage::Received => {
            let text = match urgency {
                Some(Urgency::Urgent) => say.urgent,
                Some(Urgency::Cooled) => say.cooled,
                None => say.plain,
            };
            (State::Open, text.to_owned())
        }
        Stage::Expired => (State::Withdrawn, say.expired.to_owned()),
        Stage::Accepted | Stage::Won | Stage::Lost | Stage::Declined => (State::Done, say.answered.to_owned()),
    };
    if is_expiring {
        text = format!("{} {text}", say.expiring);
    }
    if let Some(deal) = &lead.deal {
        text = format!("{deal}. {text}");
    }
    Content {
        title: say.lead_from.replace("{}", &lead.shown_customer(now)),
        text,
        link: deep_link(lead_url, lead.id.as_str()),
        due_at: lead.expires_at,
        category: Category::Recommended,
        urgency,
        is_expiring,
        state,
    }
}

/// Says that mail to an address of the partner is stopped: mandatory where it is the preferred one.
pub fn unreachable_item(address: &EmailAddress, is_preferred: bool, languages: &[&str], portal_url: &str) -> Content {
    let say = phrases(languages);
    Content {
        title: say.unreachable.replace("{}", address.as_str()),
        text: say.unreachable_text.to_owned(),
        link: portal_url.to_owned(),
        due_at: None,
        category: if is_preferred { Category::Mandatory } else { Category::Recommended },
        urgency: None,
        is_expiring: false,
        state: State::Open,
    }
}

/// Says that an address of the partner has unsubscribed (`R-OPTOUT`).
pub fn opted_out_item(address: &EmailAddress, languages: &[&str], portal_url: &str) -> Content {
    let say = phrases(languages);
    Content {
        title: say.opted_out.replace("{}", address.as_str()),
        text: say.opted_out_text.to_owned(),
        link: portal_url.to_owned(),
        due_at: None,
        category: Category::Recommended,
        urgency: None,
        is_expiring: false,
        state: State::Open,
    }
}

/// Fills a lead's id into the portal's `lead_url`, percent-encoded as one path segment (RFC 3986 §2.3).
///
/// ```
/// assert_eq!(posthorn::policy::action::deep_link("https://p.example/l/{id}", "a b"), "https://p.example/l/a%20b");
/// ```
pub fn deep_link(lead_url: &str, id: &str) -> String {
    let mut encoded = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    lead_url.replace("{id}", &encoded)
}
