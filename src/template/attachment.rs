//! The CSV that goes along with a digest which lists only the first of its leads (`R-DIGEST`).

use crate::template::clean;
use crate::template::view::LeadView;

const HEADER: [&str; 14] = [
    "id",
    "customer",
    "deal",
    "urgency",
    "created",
    "due",
    "daysLeft",
    "contactName",
    "contactEmail",
    "contactPhone",
    "country",
    "callToAction",
    "value",
    "link",
];

/// Returns the leads as CSV: UTF-8 with a byte-order mark (spreadsheets guess the encoding wrongly without), a header row, CRLF. No cell
/// becomes a formula: one that begins with `= + - @` (full-width as well), tab or CR gets a `'` in front.
pub fn digest_csv<'a>(leads: impl IntoIterator<Item = &'a LeadView>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(b"\xEF\xBB\xBF".to_vec());
    writer.write_record(HEADER).expect("writing to memory does not fail");
    for lead in leads {
        let contact = lead.contact.clone().unwrap_or_default();
        let days_left = lead.days_left.to_string();
        let cells: [&str; HEADER.len() - 1] = [
            &lead.id,
            &lead.customer,
            lead.deal.as_deref().unwrap_or_default(),
            lead.urgency.unwrap_or_default(),
            &lead.created,
            &lead.due,
            &days_left,
            contact.name.as_deref().unwrap_or_default(),
            contact.email.as_deref().unwrap_or_default(),
            contact.phone.as_deref().unwrap_or_default(),
            lead.country.as_deref().unwrap_or_default(),
            lead.call_to_action.as_deref().unwrap_or_default(),
            lead.value.as_deref().unwrap_or_default(),
        ];
        // The link is ours, begins with its scheme, and may be longer than a name: it is not cut.
        let row = cells
            .map(clean::defused)
            .into_iter()
            .chain([clean::without_blanks(&lead.link).into_owned()]);
        writer
            .write_record(row.map(String::into_bytes))
            .expect("each row has as many cells as the header");
    }
    writer.into_inner().expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::view::ContactView;

    /// R-EXPORT, R-DIGEST.
    #[test]
    fn no_cell_of_the_attachment_becomes_a_formula() {
        let cases = [
            ("=1+1", "'=1+1"),
            ("+49 30 1", "'+49 30 1"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\u{200B}＝1+1", "'＝1+1"),
            ("\t=1", "'=1"),
            ("\r=1", "'=1"),
            ("  =cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("a,b \"c\"", "a,b \"c\""),
            ("two\nlines", "two lines"),
            ("Müller", "Müller"),
        ];
        for (text, cell) in cases {
            let lead = LeadView {
                customer: text.to_owned(),
                contact: Some(ContactView {
                    phone: Some(text.to_owned()),
                    ..ContactView::default()
                }),
                ..LeadView::default()
            };
            let bytes = digest_csv(&[lead]);
            assert!(bytes.starts_with(b"\xEF\xBB\xBFid,customer,"), "mark and header");
            let mut reader = csv::Reader::from_reader(&bytes[3..]);
            let row = reader.records().next().unwrap().unwrap();
            assert_eq!((&row[1], &row[9]), (cell, cell), "{text:?}");
        }
    }
}
