//! Whether mailboxes find the key that mails are signed with (DKIM: RFC 6376 §3.6.1, RFC 8463, RFC 8301): the record is there, can be read, and is
//! the other half of the configured key.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::dns::answers::{Answers, Question};
use crate::doctor::der::rsa_modulus;
use crate::doctor::text::{cut, tags, unanswered};
use crate::doctor::{Area, Check};

/// Base64 with or without padding: mailboxes take both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bits below which mailboxes verify no RSA signature, and below which a key is not to be made (RFC 8301 §3.2).
const RSA_BITS_MIN: usize = 1024;
const RSA_BITS_ADVISED: usize = 2048;

/// A published key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `k=`, in lower case.
    pub kind: String,
    /// `p=`, decoded; empty where the key is revoked.
    pub public: Vec<u8>,
    /// `t=y`: mailboxes are to treat signed mail like unsigned.
    pub is_test: bool,
    /// `h=` and `s=` let it sign mail with SHA-256.
    pub signs_mail: bool,
}

/// Reads the text of a record.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub fn parse(text: &str) -> Result<Key, String> {
    // What stands in a zone file, taken over into a form.
    if text.starts_with('"') || text.contains("\" \"") {
        return Err("holds quotation marks, which belong into a zone file only".into());
    }
    if text.contains("\\;") {
        return Err("holds backslashes before its semicolons, which belong into a zone file only".into());
    }
    let tags = tags(text)?;
    let value = |name: &str| tags.iter().find(|(tag, _)| *tag == name).map(|(_, value)| *value);
    if let Some(version) = value("v")
        && (version != "DKIM1" || tags[0].0 != "v")
    {
        return Err(format!("begins with v={} where v=DKIM1 belongs", cut(version)));
    }
    let Some(public) = value("p") else {
        return Err("has no p=, the key itself".into());
    };
    let bare: String = public.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let public = BASE64
        .decode(&bare)
        .map_err(|_| format!("has a p= that is no base64: {:?}", cut(&bare)))?;
    let has = |list: Option<&str>, words: &[&str]| {
        list.is_none_or(|list| {
            list.split(':')
                .any(|word| words.contains(&word.trim().to_ascii_lowercase().as_str()))
        })
    };
    Ok(Key {
        kind: value("k").unwrap_or("rsa").to_ascii_lowercase(),
        public,
        is_test: value("t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim().eq_ignore_ascii_case("y"))),
        signs_mail: has(value("h"), &["sha256"]) && has(value("s"), &["*", "email"]),
    })
}

/// Says whether the record `name` publishes the key that `expected`, the text as `config check` prints it, is made of.
///
/// # Errors
/// The question that has to be asked first.
pub fn judge(name: &str, expected: &str, known: &Answers) -> Result<Check, Question> {
    const NAME: &str = "dkim";
    let texts = match known.texts(name)? {
        Ok(texts) => texts,
        Err(why) => return Ok(unanswered(NAME, &format!("The DKIM key at {name} cannot be looked up"), why)),
    };
    let publish = "Publish the TXT record that `posthorn config check` prints.";
    let text = match texts {
        [] => return missing(name, known),
        [text] => text,
        several => {
            let found = format!(
                "{name} has {} TXT records, and a mailbox may take any of them for the key.",
                several.len()
            );
            return Ok(Check::wrong(
                Area::Dns,
                NAME,
                found,
                "Leave one there: the TXT record that `posthorn config check` prints.",
            ));
        }
    };
    let own = parse(expected).expect("what is signed with has a record that can be read");
    let key = match parse(text) {
        Ok(key) => key,
        Err(wrong) => return Ok(Check::wrong(Area::Dns, NAME, format!("The record {name} {wrong}."), publish)),
    };
    if key.public.is_empty() {
        let found = format!("The key at {name} is revoked (p= is empty): every signature with it fails.");
        return Ok(Check::wrong(
            Area::Dns,
            NAME,
            found,
            "Make another key under another selector: docs/guides/sign-mail.md, \"Replace a key\".",
        ));
    }
    if !is_same(&key, &own) {
        return Ok(Check::wrong(Area::Dns, NAME, other_key(name, &key, &own), publish));
    }
    if !key.signs_mail {
        let found = format!("The record {name} has the right key, but its h= or s= keeps it from signing mail with SHA-256.");
        return Ok(Check::wrong(Area::Dns, NAME, found, publish));
    }
    if key.is_test {
        let found = format!(
            "The record {name} has the right key, and t=y: mailboxes are told that it is a test, and treat signed mail like unsigned."
        );
        return Ok(Check::warning(
            Area::Dns,
            NAME,
            found,
            "Take t=y out of the record once mails arrive with dkim=pass.",
        ));
    }
    let size = match rsa_modulus(&key.public).filter(|_| key.kind == "rsa") {
        Some(modulus) => format!("RSA of {} bits", modulus.len() * 8),
        None => "Ed25519, which not every mailbox verifies yet".into(),
    };
    Ok(Check::ok(
        Area::Dns,
        NAME,
        format!("The record {name} is the other half of the key that mails are signed with ({size})."),
    ))
}

/// Nothing is there; many a form appends the domain to what is typed as a name.
fn missing(name: &str, known: &Answers) -> Result<Check, Question> {
    let domain = name.split_once("._domainkey.").map_or("", |(_, domain)| domain);
    let doubled = format!("{name}.{domain}");
    if let Ok([_, ..]) = known.texts(&doubled)? {
        let found = format!("There is no DKIM key at {name}, but one at {doubled}: the domain was appended to a name that had it already.");
        let advice = format!(
            "Type only {:?} as the record's name.",
            name.strip_suffix(&format!(".{domain}")).unwrap_or(name)
        );
        return Ok(Check::wrong(Area::Dns, "dkim", found, advice));
    }
    let found = format!("There is no DKIM key at {name}: mails are signed with a key that nobody finds, which is worse than none.");
    let advice = "Publish the TXT record that `posthorn config check` prints; until it is there, take [dkim] out of the configuration.";
    Ok(Check::wrong(Area::Dns, "dkim", found, advice))
}

fn is_same(key: &Key, own: &Key) -> bool {
    // RFC 6376 has the bare key, everybody else wraps it: one key in two forms.
    let modulus = |key: &Key| rsa_modulus(&key.public).map(<[u8]>::to_vec);
    key.kind == own.kind && (key.public == own.public || key.kind == "rsa" && modulus(key).is_some() && modulus(key) == modulus(own))
}

fn other_key(name: &str, key: &Key, own: &Key) -> String {
    if key.kind != own.kind {
        return format!(
            "The record {name} is of a key of kind {:?}, and mails are signed with one of kind {:?}.",
            cut(&key.kind),
            own.kind
        );
    }
    if own.public.starts_with(&key.public) {
        return format!(
            "The record {name} has the right key, but cut off: of a text longer than 255 characters every piece has to be there."
        );
    }
    let small = match rsa_modulus(&key.public)
        .filter(|_| key.kind == "rsa")
        .map(|modulus| modulus.len() * 8)
    {
        Some(bits) if bits < RSA_BITS_MIN => format!(", of {bits} bits, which no mailbox verifies"),
        Some(bits) if bits < RSA_BITS_ADVISED => format!(", of {bits} bits where {RSA_BITS_ADVISED} are advised"),
        _ => String::new(),
    };
    format!("The record {name} is of another key than mails are signed with{small}: every signature fails.")
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::dns::answers::testing::{settle, zone};

    /// RFC 8463, appendix A.2.
    const RSA: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/b\
                       yYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
    const ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn records_as_found_in_the_wild_are_read() {
        for (text, expected) in [
            (format!("v=DKIM1; k=rsa; p={RSA}"), Ok(("rsa", 162, false, true))),
            (format!("v=DKIM1;k=rsa;p={RSA};"), Ok(("rsa", 162, false, true))),
            (format!("k=rsa; t=s; p={RSA}"), Ok(("rsa", 162, false, true))),
            (format!("p={RSA}"), Ok(("rsa", 162, false, true))),
            (
                format!("v=DKIM1; h=sha256; s=email; t=y:s; n=a note; p={} {}", &RSA[..100], &RSA[100..]),
                Ok(("rsa", 162, true, true)),
            ),
            (format!("v=DKIM1; h=sha1; p={RSA}"), Ok(("rsa", 162, false, false))),
            (format!("v=DKIM1; s=other; p={RSA}"), Ok(("rsa", 162, false, false))),
            (format!("v=DKIM1; k=ed25519; p={ED25519}"), Ok(("ed25519", 32, false, true))),
            (
                format!("v=DKIM1; k=ed25519; p={}", ED25519.trim_end_matches('=')),
                Ok(("ed25519", 32, false, true)),
            ),
            ("v=DKIM1; p=".into(), Ok(("rsa", 0, false, true))),
            (format!("\"v=DKIM1; k=rsa; p={RSA}\""), Err("quotation marks")),
            (format!("v=DKIM1\\; k=rsa\\; p={RSA}"), Err("backslashes")),
            (format!("v=DKIM2; p={RSA}"), Err("where v=DKIM1 belongs")),
            (format!("k=rsa; v=DKIM1; p={RSA}"), Err("where v=DKIM1 belongs")),
            ("v=DKIM1; k=rsa".into(), Err("no p=")),
            ("v=DKIM1; p=(none)".into(), Err("no base64")),
            (format!("v=DKIM1; p={RSA}; p={RSA}"), Err("twice")),
            ("v=spf1 -all".into(), Err("where v=DKIM1 belongs")),
            ("hello".into(), Err("no tag with a value")),
        ] {
            match (parse(&text), expected) {
                (Ok(key), Ok((kind, n, is_test, signs_mail))) => {
                    assert_eq!(
                        (&*key.kind, key.public.len(), key.is_test, key.signs_mail),
                        (kind, n, is_test, signs_mail),
                        "{text}"
                    );
                }
                (Err(wrong), Err(part)) => assert!(wrong.contains(part), "{text}: {wrong}"),
                (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_sentence_says_whether_the_published_key_is_ours_and_what_to_do() {
        let name = "s1._domainkey.contoso.com";
        let own = format!("v=DKIM1; k=rsa; p={RSA}");
        let judged = |lines: String| {
            let check = settle(zone(&lines), |known| judge(name, &own, known));
            format!("{}: {} | {}", check.state.as_str(), check.found, check.advice.unwrap_or_default())
        };
        let bytes = BASE64_STANDARD.decode(RSA).expect("base64");
        let bare = BASE64_STANDARD.encode(&bytes[22..]);
        // One bit of the modulus turned.
        let other = RSA.replacen("HlOQ", "HlOR", 1);
        let all: Vec<String> = [
            format!("{name} TXT {own}"),
            format!("{name} TXT v=DKIM1; p={bare}"),
            String::new(),
            format!("{name}.contoso.com TXT {own}"),
            format!("{name} SERVFAIL"),
            format!("{name} TXT {own}\n{name} TXT v=spf1 -all"),
            format!("{name} TXT \"{own}\""),
            format!("{name} TXT v=DKIM1; p="),
            format!("{name} TXT v=DKIM1; k=ed25519; p={ED25519}"),
            format!("{name} TXT v=DKIM1; p={}", &RSA[..200]),
            format!("{name} TXT v=DKIM1; p={other}"),
            format!("{name} TXT {own}; h=sha1"),
            format!("{name} TXT {own}; t=y"),
        ]
        .map(judged)
        .to_vec();
        insta::assert_snapshot!("dkim", all.join("\n"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            parse(&text).ok();
        }

        #[test]
        fn what_is_published_is_read_back_however_it_is_spaced(bytes in proptest::collection::vec(any::<u8>(), 1..300), at in any::<prop::sample::Index>()) {
            let mut text = BASE64_STANDARD.encode(&bytes);
            text.insert_str(at.index(text.len()), " \t ");
            let key = parse(&format!(" v=DKIM1 ;\tk=rsa ; p={text} ;"));
            prop_assert_eq!(key.map(|key| key.public), Ok(bytes));
        }
    }
}
