//! Views to try templates with, for each kind: much to say, little to say, a long list.

use crate::outbox::Kind;
use crate::partner::Zone;
use crate::template::formats::Formats;
use crate::template::view::{AnswersView, ContactView, LeadView, PartnerView, Portal, Recipient, View};
use crate::time::Timestamp;

/// Returns a view in which every field that mails of this kind use is set, with ordinary content and the dates in `language`: for previews,
/// and to check templates.
pub fn sample(kind: Kind, language: &str) -> View {
    sample_in(kind, Formats::built_in(language))
}

/// Returns the same with its dates as `formats` write them.
pub(crate) fn sample_in(kind: Kind, formats: &Formats) -> View {
    let leads = Leads { formats };
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

/// A view to try templates with.
pub struct Sample {
    /// `full`, `empty`, `longest`, `cooled`, `hostile` or `right-to-left`.
    pub name: &'static str,
    /// What it says.
    pub view: View,
}

/// Returns the views that each template must render: [`sample`], one as bare as a record may be, one whose lists and texts are as long as they
/// become, one that has cooled, one whose words are chosen to break out of where they stand, and one in Hebrew and Arabic.
pub fn samples(kind: Kind, language: &str) -> [Sample; 6] {
    samples_in(kind, Formats::built_in(language))
}

/// Returns the same with their dates as `formats` write them.
pub(crate) fn samples_in(kind: Kind, formats: &Formats) -> [Sample; 6] {
    let leads = Leads { formats };
    let full = sample_in(kind, formats);
    let bare = View {
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
    let cooled = View {
        forwarded_by: (kind == Kind::Lead).then(|| "kim@fabrikam.example".to_owned()),
        ..full.clone()
    };
    let named = |name: &str| View {
        recipient: Recipient {
            name: Some(name.to_owned()),
            ..full.recipient.clone()
        },
        ..full.clone()
    };
    let (hostile, hebrew) = (leads.hostile(), leads.right_to_left());
    [
        ("full", full.clone()),
        ("empty", with_leads(kind, bare, 1, |_| leads.plain())),
        ("longest", with_leads(kind, full.clone(), 30, |_| leads.longest())),
        ("cooled", with_leads(kind, cooled, 1, |_| leads.cooled())),
        ("hostile", with_leads(kind, named(HOSTILE), 10, |_| hostile.clone())),
        ("right-to-left", with_leads(kind, named("נועה כהן"), 2, |_| hebrew.clone())),
    ]
    .map(|(name, view)| Sample { name, view })
}

/// Puts leads into a view, where mails of that kind have them; those that they are told of when it is over lose what is hidden then.
fn with_leads(kind: Kind, mut view: View, n: usize, lead: impl Fn(usize) -> LeadView) -> View {
    let lead = |n| match kind {
        Kind::Expiry => expired(lead(n)),
        Kind::Decline => LeadView {
            contact: None,
            notes: None,
            ..lead(n)
        },
        Kind::Lead | Kind::Digest | Kind::Reminder => lead(n),
    };
    match kind {
        Kind::Lead | Kind::Decline => view.lead = Some(lead(0)),
        Kind::Digest | Kind::Reminder | Kind::Expiry => {
            view.leads = (0..n).map(lead).collect();
            let n_urgent = view.leads.iter().filter(|lead| lead.urgency == Some("urgent")).count();
            (view.n_leads, view.n_listed, view.n_more, view.n_urgent) = (n, n, 0, n_urgent);
            view.has_attachment = false;
        }
    }
    view
}

/// Words of a stranger that would be markup, a tag of a template, another line of a header, or the other way round.
const HOSTILE: &str = "</td></table><script>alert(1)</script>{{ portal.name }}{% raw %}\"'&\r\nBcc: x@evil.example\u{202E}gpj.exe\u{0}";

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
    formats: &'a Formats,
}

impl Leads<'_> {
    fn instant(&self, at: &str) -> String {
        let at: Timestamp = at.parse().expect("the samples' instants are well-formed");
        self.formats.instant(at, Zone(chrono_tz::Europe::Berlin))
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
        value: Some(self.formats.amount(&50_000.into(), "EUR")),
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

    /// Every text as long as it is let in, in words that do not break.
    fn longest(&self) -> LeadView {
        let long = || Some("Donaudampfschifffahrtsgesellschaft".repeat(6));
        LeadView {
            id: "f".repeat(64),
            customer: "Vereinigte Norddeutsche Maschinenbau und Anlagentechnik ".repeat(4),
            deal: long(),
            partner: long(),
            link: format!("https://portal.example/leads/{}?tab=marketplace&view=details", "f".repeat(64)),
            contact: Some(ContactView {
                name: long(),
                email: Some(format!("{}@{}.example", "a".repeat(64), "b".repeat(60))),
                phone: Some("+49 30 901820 ".repeat(4)),
            }),
            notes: Some("We would like to move all of it, as soon as possible & without a break. ".repeat(100)),
            value: Some(self.formats.amount(&999_999_999_999_999_u64.into(), "XAF")),
            is_spam: true,
            answers: Some(answers()),
            ..self.urgent()
        }
    }

    fn hostile(&self) -> LeadView {
        let some = || Some(HOSTILE.to_owned());
        LeadView {
            customer: HOSTILE.to_owned(),
            deal: some(),
            partner: some(),
            contact: Some(ContactView {
                name: some(),
                email: Some("a@b.example?bcc=c@d.example\"><script>".to_owned()),
                phone: Some("+49 30 1;phone-context=\"><script>".to_owned()),
            }),
            notes: Some(format!("{HOSTILE}\nOpen lead:       https://evil.example/")),
            country: some(),
            source: some(),
            call_to_action: some(),
            value: some(),
            ..self.urgent()
        }
    }

    fn right_to_left(&self) -> LeadView {
        LeadView {
            customer: "חברת הדוגמה בע\"מ (Contoso)".to_owned(),
            deal: Some("מעבר לענן של 40 סניפים".to_owned()),
            partner: Some("شركة المثال".to_owned()),
            contact: Some(ContactView {
                name: Some("نورة القحطاني".to_owned()),
                email: Some("noura@contoso.example".to_owned()),
                phone: Some("+972 3-123-4567".to_owned()),
            }),
            notes: Some("אנחנו מחפשים שותף ליד תל אביב.\nPlease call in the morning.".to_owned()),
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
