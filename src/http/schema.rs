//! How the core's words look in the description of the API.

use std::borrow::Cow;

use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::lead::LeadId;
use crate::partner::{EmailAddress, PartnerId};
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
