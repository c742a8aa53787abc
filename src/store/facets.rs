//! What lists find leads by (`lead::facets`), and the lists themselves (`R-TABS`, `R-FILTER`).

use serde::Serialize;

use crate::lead::facets::{self, Facets};
use crate::lead::{Lead, OneOf};
use crate::partner::PartnerId;
use crate::store::engine::{Sql, Tx, args, rows, sql};
use crate::store::error::Error;
use crate::store::leads::{LeadRow, columns, packed, select_leads};
use crate::store::meta::{FACETS, find_meta, put_meta};
use crate::store::{Store, leads};
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &PUT,
    &AFTER,
    &NEWEST,
    &OLDEST,
    &ASCENDING,
    &DESCENDING,
    &NEWEST_OF_PARTNER,
    &OLDEST_OF_PARTNER,
    &ASCENDING_OF_PARTNER,
    &DESCENDING_OF_PARTNER,
];

/// Leads whose facets are made anew in one commit.
const FILL_MAX: i64 = 500;

#[derive(Serialize)]
struct FacetRow<'a> {
    id: &'a str,
    tab: Option<&'static str>,
    origin: Option<&'static str>,
    call_to_action: Option<&'static str>,
    country: Option<String>,
    source: Option<&'static str>,
    quality: Option<&'static str>,
    email_validity: Option<&'static str>,
    phone_validity: Option<&'static str>,
    customer: String,
    is_person: bool,
    words: String,
    contact_words: String,
}

const PUT: Sql = sql!("facets.put":
    "insert into lead_facet (seq, tab, origin, call_to_action, country, source, quality, email_validity, phone_validity, customer, is_person,
  words, contact_words)
select lead.seq, r.tab, r.origin, r.call_to_action, r.country, r.source, r.quality, r.email_validity, r.phone_validity, r.customer,
  r.is_person, r.words, r.contact_words
from " (id text, tab text, origin text, call_to_action text, country text, source text, quality text, email_validity text,
        phone_validity text, customer text, is_person boolean, words text, contact_words text)
    " join lead on lead.id = r.id where true
on conflict (seq) do update set tab = excluded.tab, origin = excluded.origin, call_to_action = excluded.call_to_action, country = excluded.country,
  source = excluded.source, quality = excluded.quality, email_validity = excluded.email_validity, phone_validity = excluded.phone_validity,
  customer = excluded.customer, is_person = excluded.is_person, words = excluded.words, contact_words = excluded.contact_words");

/// Writes what lists find these leads by; they are in the store.
pub async fn put_facets<'a>(tx: &mut Tx, leads: impl IntoIterator<Item = &'a Lead>) -> Result<(), Error> {
    let found: Vec<FacetRow<'_>> = leads.into_iter().map(facet_row).collect();
    if !found.is_empty() {
        tx.execute(&PUT, args![rows(&found)]).await?;
    }
    Ok(())
}

fn facet_row(lead: &Lead) -> FacetRow<'_> {
    let facets = Facets::of(lead);
    FacetRow {
        id: lead.id.as_str(),
        tab: facets.tab.map(OneOf::as_str),
        origin: facets.origin.map(OneOf::as_str),
        call_to_action: facets.call_to_action.map(OneOf::as_str),
        country: facets.country,
        source: facets.source.map(OneOf::as_str),
        quality: facets.quality.map(OneOf::as_str),
        email_validity: facets.email_validity.map(OneOf::as_str),
        phone_validity: facets.phone_validity.map(OneOf::as_str),
        customer: facets.customer,
        is_person: facets.is_person,
        words: facets.words,
        contact_words: facets.contact_words,
    }
}

// By the order of intake.
const AFTER: Sql = select_leads!("facets.after": "lead where lead.seq > $1 order by lead.seq limit $2", "lead where lead.seq > $1 order by lead.seq limit $2");

/// Makes all facets anew where they follow from the rows otherwise than when they were written. Broken off, it begins again at the next `migrate`.
pub(super) async fn fill(store: &Store) -> Result<(), Error> {
    let mut tx = store.read().await?;
    if find_meta(&mut tx, FACETS).await?.as_deref() == Some(facets::VERSION) {
        return Ok(());
    }
    drop(tx);
    let mut after = 0;
    loop {
        let mut tx = store.begin().await?;
        let found: Vec<LeadRow> = tx.fetch_packed(&AFTER, args![after, FILL_MAX]).await?;
        let leads = leads::sorted(found)?;
        let Some(last) = leads.last() else {
            put_meta(&mut tx, FACETS, facets::VERSION).await?;
            return tx.commit().await;
        };
        after = last.seq;
        put_facets(&mut tx, &leads).await?;
        tx.commit().await?;
    }
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// `createdDateTime`.
    #[default]
    Created,
    /// The customer's name.
    Customer,
    /// `emailValidity`.
    EmailValidity,
    /// `phoneValidity`.
    PhoneValidity,
}

impl SortBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Customer => "customer",
            Self::EmailValidity => "email",
            Self::PhoneValidity => "phone",
        }
    }
}

/// Behind which row a page begins: its text (empty where it is sorted by creation), its instant of creation, its number.
pub type Key = (String, i64, i64);

/// Which leads to list, and in which order; what is `None` does not filter. Of lists any value fits.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Of this partner.
    pub partner: Option<&'a PartnerId>,
    /// In one of these stages at `now`.
    pub stages: Option<String>,
    /// Of one of these kinds.
    pub kinds: Option<String>,
    /// On one of these tabs.
    pub tabs: Option<String>,
    /// From such a page.
    pub origins: Option<String>,
    /// With one of these calls to action.
    pub calls_to_action: Option<String>,
    /// From one of these countries, by `facets::country_key`.
    pub countries: Option<String>,
    /// From one of these shops.
    pub sources: Option<String>,
    /// Of one of these qualities.
    pub qualities: Option<String>,
    /// With such an e-mail.
    pub email_validities: Option<String>,
    /// With such a phone.
    pub phone_validities: Option<String>,
    /// Whose customer's name holds this, folded.
    pub customer: Option<String>,
    /// That are found by each of these words, folded.
    pub words: Option<Vec<String>>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created before that.
    pub created_before: Option<Timestamp>,
    /// The instant of the list.
    pub now: Timestamp,
    /// By what.
    pub sort_by: SortBy,
    /// The newest, or the last of the alphabet, first.
    pub is_descending: bool,
}

impl Wanted<'_> {
    /// Returns the list that one of these words fits.
    pub fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> Option<String> {
        let list: String = words.into_iter().map(|word| format!("\n{word}")).collect();
        (!list.is_empty()).then(|| format!("{list}\n"))
    }

    /// Returns the key of a lead in this list.
    pub fn key(&self, lead: &Lead) -> Key {
        let text = match self.sort_by {
            SortBy::Created => String::new(),
            SortBy::Customer => Facets::of(lead).customer_at(lead, self.now),
            SortBy::EmailValidity => Facets::of(lead).email_validity.map_or("", OneOf::as_str).to_owned(),
            SortBy::PhoneValidity => Facets::of(lead).phone_validity.map_or("", OneOf::as_str).to_owned(),
        };
        (text, lead.created_at.as_millis(), lead.seq)
    }
}

// The parameters: 1 to 3 the key behind which the page begins, 4 created from, 5 created before, 6 now, 7 rows at most, 8 to 17 lists of words,
// 18 the customer, 19 words as JSON, 20 what it is sorted by, 21 the partner.
//
// An unanswered lead whose expiry has come is expired, whether or not that is written: `stage` is `Lead::stage_at`, `hidden` `is_contact_hidden_at`.
macro_rules! hidden {
    () => {
        "(lead.stage = 'expired' or lead.stage = 'received' and lead.erased_at is null and lead.expires_at is not null and lead.expires_at <= $6)"
    };
}
macro_rules! customer {
    () => {
        concat!(
            "case when facet.is_person and ",
            hidden!(),
            " then '(hidden)' else facet.customer end"
        )
    };
}
macro_rules! in_list {
    ($position:literal, $list:literal, $word:expr) => {
        concat!(
            " and (cast(",
            $list,
            " as text) is null or ",
            $position,
            "(",
            $list,
            ", '\n' || ",
            $word,
            " || '\n') > 0)"
        )
    };
}
macro_rules! filters {
    ($position:literal, $each:literal) => {
        concat!(
            "lead.created_at >= $4 and lead.created_at < $5",
            in_list!($position, "$8", "lead.kind"),
            in_list!(
                $position,
                "$9",
                "case when lead.kind = 'informational' then '' when lead.stage = 'received' and lead.erased_at is null and lead.expires_at <= $6 then 'expired' else lead.stage end"
            ),
            " and (cast($10 as text) is null or ",
            $position,
            "($10, '\n' || facet.tab || '\n') > 0 or lead.is_favourite and ",
            $position,
            "($10, '\nFavourites\n') > 0)",
            in_list!($position, "$11", "facet.origin"),
            in_list!($position, "$12", "facet.call_to_action"),
            in_list!($position, "$13", "facet.country"),
            in_list!($position, "$14", "facet.source"),
            in_list!($position, "$15", "facet.quality"),
            in_list!($position, "$16", "facet.email_validity"),
            in_list!($position, "$17", "facet.phone_validity"),
            " and (cast($18 as text) is null or ",
            $position,
            "(",
            customer!(),
            ", $18) > 0) and (cast($19 as text) is null or not exists (select 1 from ",
            $each,
            " where ",
            $position,
            "(facet.words || case when ",
            hidden!(),
            " then '' else '\n' || facet.contact_words end, w.value) = 0))"
        )
    };
}
macro_rules! sort_key {
    () => {
        concat!(
            "case $20 when 'customer' then ",
            customer!(),
            " when 'email' then coalesce(facet.email_validity, '') else coalesce(facet.phone_validity, '') end"
        )
    };
}
macro_rules! list {
    ($name:literal: created $cmp:literal $dir:literal $($partner:literal)?) => {
        list!(@statement $name,
            concat!("(lead.created_at, lead.seq) ", $cmp, " ($2, $3) and $1 = '' and $20 = 'created'"),
            concat!("(lead.created_at, lead.seq) ", $cmp, " ($2, $3) and $1 = '' and $20 = 'created'"),
            concat!("lead.created_at ", $dir, ", lead.seq ", $dir),
            concat!("lead.created_at ", $dir, ", lead.seq ", $dir),
            concat!("" $(, $partner)?))
    };
    ($name:literal: text $cmp:literal $dir:literal $($partner:literal)?) => {
        list!(@statement $name,
            concat!("(cast($1 as text) is null or ", sort_key!(), " ", $cmp, " $1 or ", sort_key!(), " = $1 and (lead.created_at, lead.seq) < ($2, $3))"),
            concat!("(cast($1 as text) is null or (", sort_key!(), ") collate \"C\" ", $cmp, " $1 or ", sort_key!(), " = $1 and (lead.created_at, lead.seq) < ($2, $3))"),
            concat!(sort_key!(), " ", $dir, ", lead.created_at desc, lead.seq desc"),
            concat!("(", sort_key!(), ") collate \"C\" ", $dir, ", lead.created_at desc, lead.seq desc"),
            concat!("" $(, $partner)?))
    };
    (@statement $name:literal, $s_key:expr, $p_key:expr, $s_order:expr, $p_order:expr, $partner:expr) => {
        Sql {
            name: $name,
            sqlite: concat!("/* ", $name, " */ ", packed!(), " from (select ", columns!(), " from lead join lead_facet as facet on facet.seq = lead.seq where ",
                $partner, $s_key, " and ", filters!("instr", "json_each($19) as w"), " order by ", $s_order, " limit $7)"),
            postgres: concat!("/* ", $name, " */ select ", columns!(), " from lead join lead_facet as facet on facet.seq = lead.seq where ",
                $partner, $p_key, " and ", filters!("strpos", "json_array_elements_text(cast($19 as json)) as w(value)"), " order by ", $p_order, " limit $7"),
        }
    };
}

const NEWEST: Sql = list!("facets.newest": created "<" "desc");
const OLDEST: Sql = list!("facets.oldest": created ">" "asc");
const ASCENDING: Sql = list!("facets.ascending": text ">" "asc");
const DESCENDING: Sql = list!("facets.descending": text "<" "desc");
const NEWEST_OF_PARTNER: Sql = list!("facets.newest_of_partner": created "<" "desc" "lead.partner_id = $21 and ");
const OLDEST_OF_PARTNER: Sql = list!("facets.oldest_of_partner": created ">" "asc" "lead.partner_id = $21 and ");
const ASCENDING_OF_PARTNER: Sql = list!("facets.ascending_of_partner": text ">" "asc" "lead.partner_id = $21 and ");
const DESCENDING_OF_PARTNER: Sql = list!("facets.descending_of_partner": text "<" "desc" "lead.partner_id = $21 and ");

/// Lists leads in the order that is wanted, from behind `after`. Of equal texts the newest comes first.
pub async fn list_leads(tx: &mut Tx, wanted: &Wanted<'_>, after: Option<&Key>, limit: i64) -> Result<Vec<Lead>, Error> {
    let is_by_creation = wanted.sort_by == SortBy::Created;
    let first = if is_by_creation && !wanted.is_descending {
        i64::MIN
    } else {
        i64::MAX
    };
    let (text, created_at, seq) = match after {
        Some((text, created_at, seq)) => (Some(text.as_str()), *created_at, *seq),
        None => (is_by_creation.then_some(""), first, first),
    };
    let mut values = args![
        text,
        created_at,
        seq,
        wanted.created_from.map_or(i64::MIN, Timestamp::as_millis),
        wanted.created_before.map_or(i64::MAX, Timestamp::as_millis),
        wanted.now,
        limit,
        wanted.kinds.as_deref(),
        wanted.stages.as_deref(),
        wanted.tabs.as_deref(),
        wanted.origins.as_deref(),
        wanted.calls_to_action.as_deref(),
        wanted.countries.as_deref(),
        wanted.sources.as_deref(),
        wanted.qualities.as_deref(),
        wanted.email_validities.as_deref(),
        wanted.phone_validities.as_deref(),
        wanted.customer.as_deref(),
        wanted.words.as_ref().map(|words| crate::store::engine::json(words)),
        wanted.sort_by.as_str(),
    ];
    let statement = match (wanted.partner, is_by_creation, wanted.is_descending) {
        (None, true, true) => &NEWEST,
        (None, true, false) => &OLDEST,
        (None, false, false) => &ASCENDING,
        (None, false, true) => &DESCENDING,
        (Some(_), true, true) => &NEWEST_OF_PARTNER,
        (Some(_), true, false) => &OLDEST_OF_PARTNER,
        (Some(_), false, false) => &ASCENDING_OF_PARTNER,
        (Some(_), false, true) => &DESCENDING_OF_PARTNER,
    };
    if let Some(partner) = wanted.partner {
        values.extend(args![partner.as_str()]);
    }
    let found: Vec<LeadRow> = tx.fetch_packed(statement, values).await?;
    let leads = found.into_iter().map(Lead::try_from).collect::<Result<Vec<_>, _>>()?;
    // Packed rows come in no promised order.
    let mut keyed: Vec<(Key, Lead)> = leads.into_iter().map(|lead| (wanted.key(&lead), lead)).collect();
    keyed.sort_by(|((text, created_at, seq), _), ((other_text, other_created_at, other_seq), _)| {
        let by_text = text.cmp(other_text);
        let by_creation = (created_at, seq).cmp(&(other_created_at, other_seq));
        match (is_by_creation, wanted.is_descending) {
            (true, false) => by_creation,
            (true, true) => by_creation.reverse(),
            (false, false) => by_text.then(by_creation.reverse()),
            (false, true) => by_text.reverse().then(by_creation.reverse()),
        }
    });
    Ok(keyed.into_iter().map(|(_, lead)| lead).collect())
}
