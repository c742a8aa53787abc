//! The leads and partners of the bench: ordinary ones, all different, all mailed singly.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use posthorn::time::Timestamp;
use serde_json::json;

/// Partners among whom the leads are spread evenly, where nothing else is said.
pub const N_PARTNERS: usize = 200;

/// What the leads' ids begin with; twelve digits follow, the lead's number.
pub const LEAD_PREFIX: &str = "7c9e6679-7425-40de-944b-";

const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"];

/// Writes the partners, each with one preferred e-mail.
pub fn write_partners(path: &Path) -> io::Result<()> {
    write_partners_of(path, N_PARTNERS)
}

/// Writes so many partners.
pub fn write_partners_of(path: &Path, n_partners: usize) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for n in 0..n_partners {
        let partner = json!({
            "id": format!("partner-{n:03}"),
            "name": format!("Partner {n} Consulting Ltd."),
            "locale": "en",
            "timeZone": ZONES[n % ZONES.len()],
            "preferredEmails": [{ "email": format!("leads@partner-{n:03}.example"), "locale": "en" }],
        });
        writeln!(out, "{partner}")?;
    }
    out.flush()
}

/// Writes leads that came in one after another until `now`.
pub fn write_leads(path: &Path, n_leads: usize, now: Timestamp) -> io::Result<()> {
    write_leads_of(path, 0..n_leads, N_PARTNERS, now)
}

/// Writes the leads with these numbers, of so many partners.
pub fn write_leads_of(path: &Path, numbers: Range<usize>, n_partners: usize, now: Timestamp) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let (first, n_leads) = (numbers.start, numbers.len());
    for n in numbers {
        let created = Timestamp::from_millis(now.as_millis() - 3_600_000 + (3_600_000 * (n - first) / n_leads) as i64);
        let lead = json!({
            "id": format!("{LEAD_PREFIX}{n:012}"),
            "engagementId": format!("e-{n}"),
            "name": format!("Move {} branch offices to the cloud", 2 + n % 40),
            "organizationId": format!("partner-{:03}", n % n_partners),
            "organizationName": format!("Partner {} Consulting Ltd.", n % n_partners),
            "direction": "Incoming",
            "createdDateTime": created,
            "updatedDateTime": created,
            "status": "New",
            "substatus": "Received",
            "qualification": "Direct",
            "type": "Independent",
            "customerProfile": {
                "name": format!("Customer {n} Engineering"),
                "size": "51to250",
                "address": { "addressLine1": format!("{} Market Street", 1 + n % 200), "city": "Leeds", "postalCode": "LS1 4AP", "country": "GB" },
                "team": [{
                    "firstName": "Robin", "lastName": format!("Byron {n}"), "phoneNumber": "+44 113 496 0000",
                    "email": format!("robin.{n}@customer.example"),
                    "contactPreference": { "locale": "en-GB", "disableNotifications": false },
                }],
            },
            "consent": { "consentToContact": n % 4 == 0, "consentToShareInfoWithOthers": true },
            "details": {
                "notes": "We run our branch offices on servers of our own and would like to know what a move would cost, how long it would take, \
                          and whether the tills can go on selling meanwhile. Please call in the morning.",
                "dealValue": 10_000 + n, "currency": "GBP",
            },
            "target": [{ "type": "BusinessProfileLocation", "id": "main" }],
        });
        writeln!(out, "{lead}")?;
    }
    out.flush()
}
