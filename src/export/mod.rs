//! Leads as tables: CSV and XLSX of what a list shows (`R-EXPORT`).
//!
//! In: leads, page by page. Out: bytes. A lead is written as it is at an instant, so that what is hidden in a list is hidden here; no cell becomes a formula;
//! memory does not grow with the number of leads.

pub mod csv;
pub mod xlsx;

use serde_json::Value;

use crate::lead::facets::Facets;
use crate::lead::kind::Kind;
use crate::lead::{Lead, OneOf};
use crate::template::clean;
use crate::time::Timestamp;

/// The columns, in their order.
pub const HEADER: [&str; 34] = [
    "Id",
    "LeadCreationDateTime",
    "CustomerName",
    "Status",
    "Substatus",
    "PartnerId",
    "PartnerName",
    "Kind",
    "LeadType",
    "Qualification",
    "CallToAction",
    "Source",
    "Offer",
    "Quality",
    "Urgency",
    "Favourite",
    "ExpirationDateTime",
    "FirstName",
    "LastName",
    "Email",
    "EmailValidity",
    "Phone",
    "PhoneValidity",
    "AddressLine1",
    "AddressLine2",
    "PostalCode",
    "City",
    "State",
    "Country",
    "DealName",
    "DealValue",
    "Currency",
    "ClosingDateTime",
    "Notes",
];

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A text, in one line.
    Text(String),
    /// A number.
    Number(f64),
}

/// A lead's row.
pub type Row = [Cell; HEADER.len()];

/// Returns a lead's row as it is at `now`.
pub fn row(lead: &Lead, now: Timestamp) -> Row {
    let shown = lead.show(now);
    let text = |pointer: &str| match shown.pointer(pointer) {
        Some(Value::String(text)) => line(text),
        Some(Value::Number(number)) => line(&number.to_string()),
        Some(Value::Bool(true)) => line("yes"),
        _ => line(""),
    };
    // An informational lead has no stage, whatever its record says.
    let stage = |pointer: &str| {
        if lead.kind == Kind::Informational {
            line("")
        } else {
            text(pointer)
        }
    };
    let targets = shown.pointer("/target").and_then(Value::as_array).into_iter().flatten();
    let offers: Vec<&str> = targets.filter_map(|target| target.get("id")?.as_str()).collect();
    let value = shown.pointer("/details/dealValue").and_then(Value::as_f64);
    [
        line(lead.id.as_str()),
        line(&lead.created_at.to_string()),
        text("/customerProfile/name"),
        stage("/status"),
        stage("/substatus"),
        line(lead.partner_id.as_str()),
        text("/organizationName"),
        text("/posthorn/kind"),
        line(Facets::of(lead).origin.map_or("", OneOf::as_str)),
        text("/qualification"),
        text("/callToAction"),
        text("/referralSource"),
        line(&offers.join(", ")),
        text("/quality"),
        text("/posthorn/urgency"),
        text("/posthorn/favourite"),
        text("/expirationDateTime"),
        text("/customerProfile/team/0/firstName"),
        text("/customerProfile/team/0/lastName"),
        text("/customerProfile/team/0/email"),
        text("/emailValidity"),
        text("/customerProfile/team/0/phoneNumber"),
        text("/phoneValidity"),
        text("/customerProfile/address/addressLine1"),
        text("/customerProfile/address/addressLine2"),
        text("/customerProfile/address/postalCode"),
        text("/customerProfile/address/city"),
        text("/customerProfile/address/state"),
        text("/customerProfile/address/country"),
        text("/name"),
        value.map_or_else(|| line(""), Cell::Number),
        text("/details/currency"),
        text("/details/closingDateTime"),
        text("/details/notes"),
    ]
}

fn line(text: &str) -> Cell {
    Cell::Text(clean::one_line(text).into_owned())
}
