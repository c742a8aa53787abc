//! What the DNS was asked and answered, so that judging can be done without asking: whoever misses an answer returns the [`Question`], and is asked
//! again once it is known.

use core::net::IpAddr;
use std::collections::BTreeMap;

/// Something to ask the DNS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The name, in lower case, without a dot at its end.
    pub name: String,
    /// What of it.
    pub kind: Kind,
}

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// TXT: texts, the pieces of each put together.
    Texts,
    /// A and AAAA.
    Addresses,
    /// MX.
    Exchanges,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The texts, one at least.
    Texts(Vec<String>),
    /// The addresses, one at least.
    Addresses(Vec<IpAddr>),
    /// Preference and name, one at least; the name is empty where the domain takes no mail (RFC 7505).
    Exchanges(Vec<(u16, String)>),
    /// Nothing of this kind, or no such name: what RFC 7208 calls a void look-up.
    Nothing,
    /// No answer that one could go by, such as `SERVFAIL`; what went wrong.
    Failed(String),
}

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub struct Answers(BTreeMap<Question, Answer>);

/// A list that was asked for: what is there, or why that is not known.
pub type Found<'a, T> = Result<&'a [T], &'a str>;

impl Answers {
    /// Notes an answer.
    pub fn learn(&mut self, question: Question, answer: Answer) {
        self.0.insert(question, answer);
    }

    /// Returns the texts of a name.
    ///
    /// # Errors
    /// The question, where nobody has asked it yet.
    pub fn texts(&self, name: &str) -> Result<Found<'_, String>, Question> {
        Ok(match self.find(name, Kind::Texts)? {
            Answer::Texts(texts) => Ok(texts),
            Answer::Failed(why) => Err(why),
            _ => Ok(&[]),
        })
    }

    /// Returns the addresses of a name.
    ///
    /// # Errors
    /// The question, where nobody has asked it yet.
    pub fn addresses(&self, name: &str) -> Result<Found<'_, IpAddr>, Question> {
        Ok(match self.find(name, Kind::Addresses)? {
            Answer::Addresses(addresses) => Ok(addresses),
            Answer::Failed(why) => Err(why),
            _ => Ok(&[]),
        })
    }

    /// Returns the mail exchangers of a name.
    ///
    /// # Errors
    /// The question, where nobody has asked it yet.
    pub fn exchanges(&self, name: &str) -> Result<Found<'_, (u16, String)>, Question> {
        Ok(match self.find(name, Kind::Exchanges)? {
            Answer::Exchanges(exchanges) => Ok(exchanges),
            Answer::Failed(why) => Err(why),
            _ => Ok(&[]),
        })
    }

    fn find(&self, name: &str, kind: Kind) -> Result<&Answer, Question> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let question = Question { name, kind };
        self.0.get(&question).ok_or(question)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A zone in a few lines, and the loop that asks it.

    use super::*;

    /// Reads lines such as `contoso.com TXT v=spf1 -all`, `contoso.com MX 10 mx.contoso.com`, `mx.contoso.com A 192.0.2.1`, `x.example SERVFAIL`.
    pub(crate) fn zone(lines: &str) -> impl Fn(&Question) -> Answer {
        let lines: Vec<Vec<String>> = lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| line.splitn(3, ' ').map(str::to_owned).collect())
            .collect();
        move |question| {
            let of = |kinds: &[&str]| -> Vec<String> {
                let here = lines
                    .iter()
                    .filter(|line| line[0] == question.name && kinds.contains(&line[1].as_str()));
                here.map(|line| line.get(2).cloned().unwrap_or_default()).collect()
            };
            if !of(&["SERVFAIL"]).is_empty() {
                return Answer::Failed("SERVFAIL".into());
            }
            let found = match question.kind {
                Kind::Texts => of(&["TXT"]),
                Kind::Addresses => of(&["A", "AAAA"]),
                Kind::Exchanges => of(&["MX"]),
            };
            if found.is_empty() {
                return Answer::Nothing;
            }
            match question.kind {
                Kind::Texts => Answer::Texts(found),
                Kind::Addresses => Answer::Addresses(found.iter().map(|text| text.parse().expect("an address")).collect()),
                Kind::Exchanges => Answer::Exchanges(
                    found
                        .iter()
                        .map(|text| {
                            let (preference, name) = text.split_once(' ').expect("a preference and a name");
                            (preference.parse().expect("a number"), name.trim_end_matches('.').to_owned())
                        })
                        .collect(),
                ),
            }
        }
    }

    /// Judges with the answers that the zone has, asked one by one.
    pub(crate) fn settle<T>(zone: impl Fn(&Question) -> Answer, mut judge: impl FnMut(&Answers) -> Result<T, Question>) -> T {
        let mut known = Answers::default();
        for _ in 0..1_000 {
            match judge(&known) {
                Ok(judged) => return judged,
                Err(question) => {
                    let answer = zone(&question);
                    known.learn(question, answer);
                }
            }
        }
        panic!("it asks for ever");
    }
}
