//! Turns what is to be said into a mail's subject, HTML and plain text, in the receiver's language, from templates that operators may edit.
//!
//! In: a [`Kind`](crate::outbox::Kind), a language, a [`View`]. Out: [`Rendered`]. The built-in templates (`templates/` of the repository) are
//! compiled in; a folder of the operator replaces them file by file and adds languages.
//!
//! ```text
//! layout.html  layout.txt  parts.html          shared by all languages; a language may have its own
//! en/lead.html  en/lead.txt  en/lead.subject   one triple for each kind: lead, digest, reminder, expiry, decline
//! en/card.html  en/row.html  en/footer.html …  pieces that these include, and en/words.txt
//! page.html  en/unsubscribe.page.html …        the pages that links in mails lead to: Page
//! ```
//!
//! A template names other files without their folder (`{% include "card.html" %}`): first its own language's, then the shared one. So a new
//! language is a copy of an old one with other words in it, and a folder becomes a language once it has all fifteen. Pages it may have, or leave to
//! the reader's languages and English.
//!
//! **Invariants:** a [`Set`] that loaded has rendered each kind in each language, with much and with little to say. Text from leads is data:
//! it is never read as a template, it is HTML-escaped (`.html`; not `.txt` and `.subject`), and names stay on one line. The same view renders
//! to the same mail.
//!
//! **What loading does not find**, because the engine is silent there: a misspelt name in a condition (`{% if lead.nope %}` is false), in the
//! left side of `or`, or in a branch that no sample takes. An undefined name that is printed, filtered (but by `default`), looped over or
//! looked into is an error when reached. A full check must compare the names in all `{{ … }}` and `{% … %}` with the fields of [`View`].
//!
//! **Not here:** who is told what (`policy`), headers and MIME (`mail`), dates and links of a view (`delivery` builds it, with
//! [`format_instant`] and [`days_left`]).

mod attachment;
mod clean;
mod error;
mod filters;
mod load;
mod page;
mod plain;
mod render;
mod sample;
mod view;

pub use attachment::digest_csv;
pub use error::Error;
pub use load::Set;
pub use page::{Page, PageView, RenderedPage, Typed};
pub use render::Rendered;
pub use sample::sample;
pub use view::{AnswersView, ContactView, LeadView, PartnerView, Portal, Recipient, View, days_left, format_instant};
