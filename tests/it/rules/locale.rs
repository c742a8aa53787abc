//! In which language.

use serde_json::json;

use crate::support::posthorn::both;
use crate::support::records::{lead, partner};

/// `R-LOCALE`: the contact's, else the partner's, else the configured one; `de-AT` → `de` → default.
#[test]
fn a_mail_speaks_the_contacts_language_else_the_partners_else_the_configured_one() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        for (n, (contact, of_partner, configured, expected)) in [
            (json!("de"), json!("en"), "en", "de"),
            (json!("de-AT"), json!("en"), "en", "de"),
            (json!("DE_ch"), json!("en"), "en", "de"),
            (json!(null), json!("de-AT"), "en", "de"),
            (json!(null), json!(null), "de", "de"),
            (json!(null), json!(null), "en", "en"),
            (json!("it"), json!("de"), "en", "en"),
            (json!("fr-CA"), json!("de"), "en", "fr"),
            (json!("ar"), json!("de"), "en", "ar"),
            (json!("en-GB"), json!("de"), "de", "en"),
            (json!(""), json!("de"), "en", "de"),
        ]
        .into_iter()
        .enumerate()
        {
            posthorn.setting("mail.locale", configured);
            let id = format!("p{n}");
            let address = json!([{ "email": format!("{id}@x.example"), "locale": contact }]);
            posthorn.partner_records([partner(&id).with("locale", of_partner.clone()).with("preferredEmails", address)]);
            posthorn.leads([lead(&format!("L{n}")).partner(&id)]).work();
            let mails = posthorn.mails();
            let mail = mails
                .iter()
                .find(|mail| mail.to == format!("{id}@x.example"))
                .expect("it was mailed");
            let language = match mail.subject.split([':', '\u{202F}']).next() {
                Some("Neuer Lead") => "de",
                Some("Nouvelle demande") => "fr",
                Some("طلب جديد") => "ar",
                _ => "en",
            };
            assert_eq!(
                language, expected,
                "contact {contact}, partner {of_partner}, configured {configured}: {}",
                mail.subject
            );
            assert_eq!(mail.header("Content-Language").as_deref(), Some(expected));
        }
    });
}
