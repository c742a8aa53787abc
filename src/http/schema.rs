//! How the core's words look in the description of the API.

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::app::audit::Lost;
use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::partner::record::{Location, Mailbox};
use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::policy::Rung;
use crate::time::Timestamp;

fn text(format: Option<KnownFormat>, description: &str, example: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(format.map(SchemaFormat::KnownFormat))
        .description(Some(description))
        .examples([example])
        .into()
}

macro_rules! described {
    ($type:ty, $name:literal, $schema:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    };
}

/// Describes a type of the core by a struct that is there for this alone, so that the core need not know how it is described.
macro_rules! described_as {
    ($type:ty, $name:literal, $described:ty) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                <$described>::schema()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$described>::schemas(schemas);
            }
        }
    };
}

described!(
    Timestamp,
    "Timestamp",
    text(
        Some(KnownFormat::DateTime),
        "RFC 3339, UTC, milliseconds",
        "2026-03-02T17:00:00.000Z"
    )
);
described!(LeadId, "LeadId", text(None, "The lead's id, as the portal gave it", "L-1001"));
described!(PartnerId, "PartnerId", text(None, "The partner's id (organizationId)", "contoso"));
described!(
    EmailAddress,
    "EmailAddress",
    text(
        Some(KnownFormat::Email),
        "Lower case, its domain in ASCII (IDNA)",
        "leads@contoso.com"
    )
);
described!(Kind, "NoticeKind", words("What a mail says", &Kind::ALL.map(Kind::as_str)));
described!(Rung, "Rung", words("Which addresses decide", &["preferred", "profile", "admins"]));
described_as!(Mailbox, "Mailbox", MailboxShown);
described_as!(Location, "Location", LocationShown);
described_as!(Partner, "Partner", PartnerShown);

fn words(description: &str, words: &[&str]) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words.iter().copied()))
        .into()
}

/// Somebody who can be mailed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
struct MailboxShown {
    /// Shown in the greeting.
    #[schema(required = false)]
    name: Option<String>,
    /// Where mail goes.
    email: EmailAddress,
    /// Its language.
    locale: Option<String>,
    /// Silences this address for good.
    disable_notifications: bool,
}

/// A location of the business profile.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
struct LocationShown {
    /// What a lead's target names.
    id: String,
    /// Whether its contacts stand in where the target is unknown or has none.
    primary: bool,
    /// Who is told.
    contacts: Vec<Mailbox>,
}

/// The business profile.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
struct Profile {
    /// Its locations.
    locations: Vec<Location>,
}

/// A partner's record; what is left out takes the configured default.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
struct PartnerShown {
    /// The `organizationId` of its leads.
    id: PartnerId,
    /// Shown in mails and lists.
    name: Option<String>,
    /// The programme that it belongs to, as the configuration names it.
    programme: Option<String>,
    /// BCP 47 language tag.
    locale: Option<String>,
    /// IANA zone in which its days are counted and its digest fires.
    time_zone: Option<String>,
    /// When its digest fires: five fields.
    digest_cron: Option<String>,
    /// How many leads of a day are mailed singly; 0: digest only.
    digest_threshold: Option<u32>,
    /// Whether urgent leads are mailed singly whatever the count.
    urgent_singly: Option<bool>,
    /// The addresses that its users chose; they come first, alone.
    #[schema(required = false)]
    preferred_emails: Vec<Mailbox>,
    /// The business profile.
    profile: Option<Profile>,
    /// The referral admins.
    #[schema(required = false)]
    admins: Vec<Mailbox>,
}

/// Somebody who can be mailed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct MailboxRecord {
    /// Shown in the greeting.
    name: Option<String>,
    /// Where mail goes.
    #[schema(format = Email, example = "leads@contoso.com")]
    email: String,
    /// Its language.
    #[schema(example = "de-AT")]
    locale: Option<String>,
    /// Silences this address for good.
    disable_notifications: Option<bool>,
}

/// A location of the business profile.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct LocationRecord {
    /// What a lead's target names.
    #[schema(min_length = 1)]
    id: String,
    /// Whether its contacts stand in where the target is unknown or has none.
    primary: Option<bool>,
    /// Who is told.
    contacts: Option<Vec<MailboxRecord>>,
}

/// The business profile.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct ProfileRecord {
    /// Its locations.
    locations: Option<Vec<LocationRecord>>,
}

/// A partner's record as it is sent; unknown fields are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct PartnerRecord {
    /// The partner of the path; may be left out.
    #[schema(required = false, example = "contoso")]
    id: String,
    /// Shown in mails and lists.
    #[schema(example = "Contoso Ltd")]
    name: Option<String>,
    /// The programme that it belongs to, as the configuration names it.
    #[schema(example = "gold")]
    programme: Option<String>,
    /// BCP 47 language tag.
    #[schema(example = "de-AT")]
    locale: Option<String>,
    /// IANA zone in which its days are counted and its digest fires.
    #[schema(example = "Europe/Vienna")]
    time_zone: Option<String>,
    /// When its digest fires: five fields.
    #[schema(example = "0 17 * * *")]
    digest_cron: Option<String>,
    /// How many leads of a day are mailed singly; 0: digest only.
    digest_threshold: Option<u32>,
    /// Whether urgent leads are mailed singly whatever the count.
    urgent_singly: Option<bool>,
    /// The addresses that its users chose; they come first, alone.
    preferred_emails: Option<Vec<MailboxRecord>>,
    /// The business profile.
    profile: Option<ProfileRecord>,
    /// The referral admins.
    admins: Option<Vec<MailboxRecord>>,
}

/// What posthorn adds to a lead.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
struct LeadFacts {
    /// `contact`, `informational`, `shared` or `test`.
    kind: String,
    /// Whether it is a test.
    is_test: bool,
    /// Since when it has stood so; nothing for an informational lead, which has no stages.
    stage_since: Option<Timestamp>,
    /// `urgent` or `cooled`, where the customer asked to be contacted.
    urgency: Option<String>,
    /// Whether it expires soon.
    expiring: bool,
    /// Whether it is archived.
    archived: bool,
    /// `single`, `digest` or `held`; nothing where nobody is told.
    channel: Option<String>,
    /// The partner's day on which it was counted.
    day: Option<String>,
    /// Its number on that day.
    day_number: Option<i64>,
    /// The digest that it waits in or went out with.
    digest_id: Option<i64>,
    /// Whether it came in as history.
    quiet: bool,
    /// When it came in.
    received_date_time: Timestamp,
    /// Whether the customer's contact data is hidden, since it has expired.
    contact_hidden: bool,
    /// When its personal data was erased.
    erased_date_time: Option<Timestamp>,
    /// What the partner answered.
    #[schema(value_type = Option<BTreeMap<String, serde_json::Value>>)]
    answer: (),
}

/// A lead: the referral resource with all of its fields, unknown ones included, as it is now.
#[derive(ToSchema)]
#[schema(as = Lead, rename_all = "camelCase", example = json!({
    "id": "L-1001", "organizationId": "contoso", "createdDateTime": "2026-03-02T08:00:00.000Z", "status": "New", "substatus": "Received",
    "customerProfile": { "name": "Fabrikam", "team": [{ "firstName": "Ada", "email": "ada@fabrikam.com" }] }
}))]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct LeadResource {
    /// Its id.
    id: LeadId,
    /// The partner that it reached.
    organization_id: PartnerId,
    /// When the customer sent it.
    created_date_time: String,
    /// `New`, `Active` or `Closed`.
    #[schema(required = false)]
    status: String,
    /// `Received`, `Accepted`, `Won`, `Lost`, `Declined` or `Expired`.
    #[schema(required = false)]
    substatus: String,
    /// What posthorn adds.
    #[schema(required = false)]
    posthorn: LeadFacts,
}

/// Sums by leads' fate.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
struct LeadBooks {
    /// All leads.
    total: i64,
    /// Those that somebody has to answer.
    contact: i64,
    /// The others, by kind.
    others: BTreeMap<String, i64>,
    /// Mailed, by channel.
    mailed: BTreeMap<String, i64>,
    /// Waiting, by what for.
    waiting: BTreeMap<String, i64>,
    /// Nobody is told, by reason.
    excused: BTreeMap<String, i64>,
}

/// The closed books.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it only describes")]
pub(super) struct Books {
    /// Leads.
    leads: LeadBooks,
    /// Notices by state.
    notices: BTreeMap<String, i64>,
    /// Deliveries by state.
    deliveries: BTreeMap<String, i64>,
    /// Digests by state.
    digests: BTreeMap<String, i64>,
    /// Action items by state.
    items: BTreeMap<String, i64>,
    /// Rejected records that nobody has dealt with.
    rejected_open: i64,
    /// How many things fit nowhere.
    orphans: i64,
    /// The first of them.
    value: Vec<Lost>,
}
