//! Views to try templates with, for each kind: much to say, little to say, a long list.

use crate::outbox::Kind;
use crate::partner::Zone;
use crate::template::view::{AnswersView, ContactView, LeadView, PartnerView, Portal, Recipient, View, format_instant};
use crate::time::Timestamp;

/// Returns a view in which every field that mails of this kind use is set, with ordinary content and the dates in `language`: for previews,
/// and to check templates.
pub fn sample(kind: Kind, language: &str) -> View {
    let leads = Leads { language };
    let (urgent, cooled, spam, plain) = (leads.urgent(), leads.cooled(), leads.spam(), leads.plain());
    let mut view = View {
        portal: portal(),
        recipient: Recipient {
            name: Some("Kim Abercrombie".to_owned()),
            address: "kim@fabrikam.example".to_owned(),
        },
        partner: Some(PartnerView {
            id: "fabrikam".to_owned(),
            name: "Fabrikam Consulting".to_owned(),
        }),
        unsubscribe_url: Some("https://mail.portal.example/u/c2FtcGxl".to_owned()),
        ..View::default()
    };
    match kind {
        Kind::Lead => {
            view.lead = Some(LeadView {
                answers: Some(answers()),
                ..urgent
            });
        }
        Kind::Digest => {
            view.leads = vec![urgent, cooled.clone(), spam, plain.clone()];
            view.mailed = vec![
                LeadView {
                    customer: "Wingtip Toys".to_owned(),
                    deal: Some("Web shop".to_owned()),
                    ..cooled
                },
                plain,
            ];
            (view.n_leads, view.n_urgent, view.n_listed, view.n_more) = (144, 1, 4, 140);
            view.has_attachment = true;
        }
        Kind::Reminder => {
            view.leads = vec![LeadView { days_left: 2, ..urgent }, LeadView { days_left: 1, ..plain }];
            view.leads[0].answers = Some(answers());
            (view.n_leads, view.n_urgent, view.n_listed) = (2, 1, 2);
        }
        Kind::Expiry => {
            view.leads = vec![expired(urgent), expired(cooled), expired(plain)];
            (view.n_leads, view.n_listed) = (3, 3);
            view.unsubscribe_url = None;
        }
        Kind::Decline => {
            view.recipient = Recipient {
                name: Some("Robin Counts".to_owned()),
                address: "robin@contoso.example".to_owned(),
            };
            view.lead = Some(LeadView {
                contact: None,
                notes: None,
                ..urgent
            });
            view.unsubscribe_url = None;
        }
    }
    view
}

/// Returns the views that each template must render: [`sample`], one as bare as a record may be, one long enough for the short form, and
/// one that has cooled.
pub(crate) fn samples(kind: Kind, language: &str) -> [View; 4] {
    let leads = Leads { language };
    let full = sample(kind, language);
    let mut bare = View {
        recipient: Recipient {
            name: None,
            ..full.recipient.clone()
        },
        partner: None,
        unsubscribe_url: None,
        mailed: Vec::new(),
        has_attachment: false,
        ..full.clone()
    };
    let (mut long, mut cool) = (full.clone(), full.clone());
    if full.lead.is_some() {
        bare.lead = Some(leads.plain());
        cool.lead = Some(leads.cooled());
        cool.forwarded_by = Some("kim@fabrikam.example".to_owned());
    }
    if !full.leads.is_empty() {
        bare.leads = vec![leads.plain()];
        (bare.n_leads, bare.n_urgent, bare.n_listed, bare.n_more) = (1, 0, 1, 0);
        long.leads = full.leads.iter().cloned().cycle().take(30).collect();
        (long.n_leads, long.n_listed, long.n_more, long.has_attachment) = (31, 30, 1, false);
        cool.leads = vec![leads.cooled()];
        (cool.n_leads, cool.n_urgent, cool.n_listed, cool.n_more) = (1, 0, 1, 0);
    }
    [full, bare, long, cool]
}

fn portal() -> Portal {
    Portal {
        name: "Partner Portal".to_owned(),
        url: "https://portal.example/".to_owned(),
    }
}

fn answers() -> AnswersView {
    AnswersView {
        accept: "https://mail.portal.example/a/YWNjZXB0".to_owned(),
        decline: "https://mail.portal.example/a/ZGVjbGlu".to_owned(),
        forward: "https://mail.portal.example/a/Zm9yd2Fy".to_owned(),
    }
}

/// The leads of the samples, with dates in one language.
struct Leads<'a> {
    language: &'a str,
}

impl Leads<'_> {
    fn instant(&self, at: &str) -> String {
        let at: Timestamp = at.parse().expect("the samples' instants are well-formed");
        format_instant(at, Zone(chrono_tz::Europe::Berlin), self.language)
    }

    fn urgent(&self) -> LeadView {
        LeadView {
        id: "7f3a".to_owned(),
        customer: "Contoso Ltd".to_owned(),
        deal: Some("Cloud migration of 40 branch offices".to_owned()),
        partner: Some("Fabrikam Consulting".to_owned()),
        urgency: Some("urgent"),
        created: self.instant("2026-03-02T08:12:00Z"),
        due: self.instant("2026-03-16T08:12:00Z"),
        days_left: 14,
        link: "https://portal.example/leads/7f3a".to_owned(),
        contact: Some(ContactView {
            name: Some("Robin Counts".to_owned()),
            email: Some("robin@contoso.example".to_owned()),
            phone: Some("+49 (0)30 901820-12".to_owned()),
        }),
        notes: Some(
            "We run 40 branch offices on servers of our own and want to move to the cloud by autumn.\nA partner near Berlin who knows retail \
             would be welcome. Please call in the morning, we are in the shops after noon."
                .to_owned(),
        ),
        country: Some("DE".to_owned()),
        source: Some("AppSource".to_owned()),
        call_to_action: Some("ContactMe".to_owned()),
        value: Some("50000 EUR".to_owned()),
        is_spam: false,
        answers: None,
    }
    }

    fn cooled(&self) -> LeadView {
        LeadView {
            id: "81c0".to_owned(),
            customer: "Adventure Works".to_owned(),
            deal: Some("Data platform workshop".to_owned()),
            urgency: Some("cooled"),
            days_left: 9,
            link: "https://portal.example/leads/81c0".to_owned(),
            contact: Some(ContactView {
                name: Some("Sam Hill".to_owned()),
                email: None,
                phone: Some("call the front desk".to_owned()),
            }),
            source: Some("AzureMarketplace".to_owned()),
            call_to_action: Some("FreeTrial".to_owned()),
            ..self.urgent()
        }
    }

    fn spam(&self) -> LeadView {
        LeadView {
            customer: "Quick Gains".to_owned(),
            deal: None,
            urgency: None,
            contact: Some(ContactView {
                name: None,
                email: Some("win@gains.example".to_owned()),
                phone: None,
            }),
            is_spam: true,
            source: Some("AzurePortal".to_owned()),
            call_to_action: Some("TestDrive".to_owned()),
            ..self.urgent()
        }
    }

    /// As little as a record may have: an id, a customer, dates.
    fn plain(&self) -> LeadView {
        LeadView {
            id: "9d11".to_owned(),
            customer: "Litware".to_owned(),
            created: self.instant("2026-03-02T07:00:00Z"),
            due: self.instant("2026-03-16T07:00:00Z"),
            days_left: 14,
            link: "https://portal.example/leads/9d11".to_owned(),
            ..LeadView::default()
        }
    }
}

fn expired(lead: LeadView) -> LeadView {
    LeadView {
        contact: None,
        notes: None,
        days_left: 0,
        ..lead
    }
}
