//! Leads as they are listed and shown, and what was decided about one.

use serde_json::Value;

use crate::app::Error;
use crate::app::explain::{Decision, decisions};
use crate::app::page::{Cursor, Page, one_more};
use crate::lead::facets::{country_key, fold};
use crate::lead::kind::Kind;
use crate::lead::values::{CallToAction, EmailValidity, Origin, PhoneValidity, Quality, ReferralSource, Tab};
use crate::lead::{Lead, LeadId, OneOf, Stage};
use crate::partner::PartnerId;
use crate::store::Store;
pub use crate::store::facets::SortBy;
use crate::store::facets::{Key, Wanted, list_leads};
use crate::store::history::list_of_lead;
use crate::store::leads::find_lead;
use crate::time::Timestamp;

const LIST: &str = "leads";

/// Which leads to list, and in which order; what is empty does not filter, of a list any value fits.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this partner.
    pub partner: Option<PartnerId>,
    /// In one of these stages, as they are at the instant of the list.
    pub stages: Vec<Stage>,
    /// Of these kinds.
    pub kinds: Vec<Kind>,
    /// On these tabs (`R-TABS`).
    pub tabs: Vec<Tab>,
    /// From such pages.
    pub origins: Vec<Origin>,
    /// With these calls to action.
    pub calls_to_action: Vec<CallToAction>,
    /// From these countries: a code of two or three letters, else the name as records have it.
    pub countries: Vec<String>,
    /// From these shops.
    pub sources: Vec<ReferralSource>,
    /// Of such a quality.
    pub qualities: Vec<Quality>,
    /// With such an e-mail.
    pub email_validities: Vec<EmailValidity>,
    /// With such a phone.
    pub phone_validities: Vec<PhoneValidity>,
    /// Whose customer's name holds this, whatever its case and accents.
    pub customer: Option<String>,
    /// That hold each of these words somewhere.
    pub search: Option<String>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created before that.
    pub created_before: Option<Timestamp>,
    /// In which order.
    pub order: Order,
}

/// The order of a list (`R-FILTER`): by what, and whether backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: SortBy,
    /// The newest, or the last of the alphabet, first.
    pub is_descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            by: SortBy::Created,
            is_descending: true,
        }
    }
}

impl Order {
    /// The names by which lists are sorted.
    pub const NAMES: [(&'static str, SortBy); 4] = [
        ("created", SortBy::Created),
        ("customer", SortBy::Customer),
        ("emailValidity", SortBy::EmailValidity),
        ("phoneValidity", SortBy::PhoneValidity),
    ];
}

impl std::str::FromStr for Order {
    type Err = String;

    /// Reads a name in any case, backwards with `-` before it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (is_descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let found = Self::NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        found.map(|(_, by)| Self { by, is_descending }).ok_or_else(|| {
            format!("{text:?} is not one of created, customer, emailValidity, phoneValidity, each with - before it for the other way round")
        })
    }
}

impl Filter {
    fn wanted(&self, now: Timestamp) -> Wanted<'_> {
        fn words<T: OneOf>(values: &[T]) -> Option<String> {
            Wanted::one_of(values.iter().map(|value| value.as_str()))
        }
        let countries: Vec<String> = self.countries.iter().map(|country| country_key(country)).collect();
        let search = self.search.as_deref().map(fold).filter(|text| !text.is_empty());
        Wanted {
            partner: self.partner.as_ref(),
            stages: Wanted::one_of(self.stages.iter().map(|stage| stage.as_str())),
            kinds: Wanted::one_of(self.kinds.iter().map(|kind| kind.as_str())),
            tabs: words(&self.tabs),
            origins: words(&self.origins),
            calls_to_action: words(&self.calls_to_action),
            countries: Wanted::one_of(countries.iter().map(String::as_str)),
            sources: words(&self.sources),
            qualities: words(&self.qualities),
            email_validities: words(&self.email_validities),
            phone_validities: words(&self.phone_validities),
            customer: self.customer.as_deref().map(fold).filter(|name| !name.is_empty()),
            words: search.map(|text| text.split(' ').map(str::to_owned).collect()),
            created_from: self.created_from,
            created_before: self.created_before,
            now,
            sort_by: self.order.by,
            is_descending: self.order.is_descending,
        }
    }
}

/// Returns a page of leads as they are at `now`. [`Lead::show`] shows one.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(store: &Store, now: Timestamp, filter: &Filter, cursor: Option<&Cursor>, limit: usize) -> Result<Page<Lead>, Error> {
    let wanted = filter.wanted(now);
    let list = format!("{LIST} by {:?}", filter.order);
    let after: Option<Key> = cursor.map(|cursor| cursor.key(&list)).transpose()?;
    let mut tx = store.snapshot().await?;
    let found = list_leads(&mut tx, &wanted, after.as_ref(), one_more(limit)).await?;
    Ok(Page::cut(found, limit, |lead| Cursor::behind(&list, &wanted.key(lead))))
}

/// Returns a lead; with `partner`, only one of that partner's.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn find(store: &Store, id: &LeadId, partner: Option<&PartnerId>) -> Result<Lead, Error> {
    let mut tx = store.read().await?;
    let found = find_lead(&mut tx, id).await?;
    found
        .filter(|lead| partner.is_none_or(|partner| lead.partner_id == *partner))
        .ok_or_else(|| unknown(id))
}

/// Returns what was decided about a lead, and by which rule, oldest first; with `partner`, only of one of that partner's.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn history(store: &Store, id: &LeadId, partner: Option<&PartnerId>) -> Result<Vec<Decision>, Error> {
    find(store, id, partner).await?;
    let mut tx = store.read().await?;
    Ok(decisions(list_of_lead(&mut tx, id).await?, partner))
}

/// Says that there is no such lead.
pub fn unknown(id: &LeadId) -> Error {
    Error::not_found(format!("there is no lead {id}"))
}

/// Returns leads as they are shown at `now`.
pub fn shown(leads: &[Lead], now: Timestamp) -> Vec<Value> {
    leads.iter().map(|lead| lead.show(now)).collect()
}
