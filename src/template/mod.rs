//! Turns what is to be said into a mail's subject, HTML and plain text, in the receiver's language, from templates that operators may edit.
//!
//! In: a [`Kind`](crate::outbox::Kind), a language, a [`View`]. Out: [`Rendered`]. The built-in templates (`templates/` of the repository) are
//! compiled in; a folder of the operator replaces them file by file and text by text, and adds languages.
//!
//! ```text
//! layout.mjml  layout.txt                      the frame of all mails
//! lead.mjml  lead.txt  lead.subject            one triple for each kind: lead, digest, reminder, expiry, decline
//! card.mjml  row.txt  footer.mjml …            pieces that these include
//! page.html  unsubscribe.page.html …           the pages that links in mails lead to: Page
//! en/messages.toml                             a language's words, by key; a file beside it replaces the shared one for that language
//! en/formats.toml                              how it writes dates, numbers and amounts
//! ```
//!
//! A set is made when it is loaded, so that a mail only pays for what it says; where nothing of it is the operator's, each language when it is first used:
//!
//! ```text
//! sources   reads the files                    lex       cuts them into text and tags, with places
//! messages  reads words; plural: their forms   lexicon   finds a key: de-AT, de, en
//! formats   reads how dates and amounts look   clean     makes lead text harmless, mail by mail
//! flatten   puts parents, blocks, includes and messages together: one template for each part
//! strict    compares every name with the contract, also where no sample comes by
//! mjml      converts to HTML, tags aside       flat      what the engine reads, and where its tags were written
//! load      does all that for each language, and renders the samples; check: what `template check` tells beside
//! markup    reads rendered HTML, for check:    support   what mail programs drop
//! contrast  text that is hard to read          spam      what filters distrust
//! ```
//!
//! **Invariants:** a [`Set`] that loaded knows every name that its templates use, and has rendered each kind in each language, with much and
//! with little to say (what is built in, in a test). A message that a language lacks comes from the language above it, never as its key. Text from leads is data: it is never
//! read as a template, it is HTML-escaped (not in `.txt` and `.subject`), and names stay on one line. A template calls no functions, reads
//! no file, loops over what a view lists, two loops deep, and writes at most 4 MiB. A list that would make a mail longer than mailboxes show
//! is shortened. The same view renders to the same mail.
//!
//! **What loading does not find:** a value that may be missing and is printed without a condition, where no sample lacks it. That fails the
//! one mail.
//!
//! **Not here:** who is told what (`policy`), headers and MIME (`mail`), dates and links of a view (`delivery` builds it, with
//! [`Formats`] and [`days_left`]).

pub mod check;
pub mod contract;

mod attachment;
mod brand;
pub(crate) mod clean;
mod contrast;
mod error;
mod filters;
mod flat;
mod flatten;
mod formats;
mod lex;
mod lexicon;
mod load;
mod markup;
mod messages;
mod mjml;
mod near;
mod page;
mod plain;
mod plural;
mod render;
mod sample;
mod sources;
mod spam;
mod specimen;
mod strict;
mod support;
mod view;

#[cfg(test)]
mod hostile;

pub use attachment::digest_csv;
pub use brand::{Look, Sets};
pub use error::Error;
pub use formats::Formats;
pub use load::Set;
pub use page::{Page, PageView, RenderedPage, Typed};
pub use render::Rendered;
pub use sample::{Sample, sample, samples};
pub use sources::{built_in_files, fingerprint};
pub use specimen::Specimen;
pub use view::{AnswersView, ContactView, LeadView, PartnerView, Portal, Recipient, View, days_left};
