//! Verifies DKIM signatures as RFC 6376 and RFC 8463 tell a mailbox to; written from them, apart from what signs, and held to RFC 8463's own example.
//!
//! Only what posthorn says of itself is understood: version 1, SHA-256, relaxed/relaxed, no `l=`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use sha2::{Digest, Sha256};

/// A signature that holds.
#[derive(Debug)]
pub struct Signature {
    pub algorithm: String,
    /// The name below which its key was looked up.
    pub record: String,
    /// The names in `h=`, in lower case.
    pub signed: Vec<String>,
}

/// Verifies every signature of a mail; `dns` is the text record of a name.
pub fn verify(mail: &[u8], dns: impl Fn(&str) -> Option<String>) -> Result<Vec<Signature>, String> {
    let mail = std::str::from_utf8(mail).map_err(|_| "not UTF-8")?;
    let (head, body) = mail.split_once("\r\n\r\n").ok_or("no end of the head")?;
    let mut headers: Vec<String> = Vec::new();
    for line in head.split("\r\n") {
        match headers.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
            Some(last) => *last += &format!("\r\n{line}"),
            None => headers.push(line.to_owned()),
        }
    }
    let signatures = headers.iter().filter(|header| name_of(header) == "dkim-signature");
    signatures.map(|header| verify_one(header, &headers, body, &dns)).collect()
}

fn verify_one(header: &str, headers: &[String], body: &str, dns: &impl Fn(&str) -> Option<String>) -> Result<Signature, String> {
    let tags = tags(header.split_once(':').expect("it has a name").1);
    let tag = |name: &str| tags.get(name).cloned().ok_or(format!("no {name}= in {header}"));
    let packed = |name: &str| Ok::<_, String>(tag(name)?.split_whitespace().collect::<String>());
    if (tag("v")?.as_str(), tag("c")?.as_str()) != ("1", "relaxed/relaxed") || tags.contains_key("l") {
        return Err(format!("not understood: {header}"));
    }
    let body_hash = BASE64_STANDARD.encode(Sha256::digest(relaxed_body(body)));
    if packed("bh")? != body_hash {
        return Err(format!("the body was changed: {body_hash} is not {}", packed("bh")?));
    }
    let signed: Vec<String> = tag("h")?.split(':').map(|name| name.trim().to_lowercase()).collect();
    if !signed.contains(&"from".to_owned()) {
        return Err("From is not signed".to_owned());
    }
    let mut left: Vec<&String> = headers.iter().collect();
    let mut data = String::new();
    for name in &signed {
        // A name without a header left stands for the one that must not be added.
        if let Some(at) = left.iter().rposition(|header| name_of(header) == *name) {
            data += &(relaxed(left.remove(at)) + "\r\n");
        }
    }
    let without_value: Vec<String> = header
        .split(';')
        .map(|part| match part.split_once('=') {
            Some((name, _)) if name.trim() == "b" => format!("{name}="),
            _ => part.to_owned(),
        })
        .collect();
    data += &relaxed(&without_value.join(";"));
    let record = format!("{}._domainkey.{}", tag("s")?, tag("d")?);
    let text = dns(&record).ok_or(format!("no record {record}"))?;
    let published = self::tags(&text);
    let key = BASE64_STANDARD.decode(&published["p"]).map_err(|error| error.to_string())?;
    let signature = BASE64_STANDARD.decode(packed("b")?).map_err(|error| error.to_string())?;
    let (algorithm, kind) = (tag("a")?, published["k"].as_str());
    let holds = match (algorithm.as_str(), kind) {
        ("rsa-sha256", "rsa") => {
            UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, rsa_key(&key)).verify(data.as_bytes(), &signature)
        }
        ("ed25519-sha256", "ed25519") => UnparsedPublicKey::new(&ED25519, key).verify(&Sha256::digest(&data), &signature),
        other => return Err(format!("not understood: {other:?}")),
    };
    holds.map_err(|_| format!("the signature does not hold for\n{data}"))?;
    Ok(Signature { algorithm, record, signed })
}

fn name_of(header: &str) -> String {
    header.split(':').next().unwrap_or_default().trim().to_lowercase()
}

/// RFC 6376 §3.2.
fn tags(list: &str) -> BTreeMap<String, String> {
    let pairs = list.split(';').filter_map(|tag| tag.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// RFC 6376 §3.4.2.
fn relaxed(header: &str) -> String {
    let (name, value) = header.split_once(':').expect("a header has a name");
    let value: Vec<&str> = value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    format!("{}:{}", name.trim_end().to_lowercase(), value.join(" "))
}

/// RFC 6376 §3.4.4.
fn relaxed_body(body: &str) -> String {
    let mut relaxed = String::new();
    for line in body.split("\r\n") {
        let mut was_blank = false;
        for c in line.trim_end_matches([' ', '\t']).chars() {
            let is_blank = c == ' ' || c == '\t';
            match is_blank {
                true if was_blank => {}
                true => relaxed.push(' '),
                false => relaxed.push(c),
            }
            was_blank = is_blank;
        }
        relaxed += "\r\n";
    }
    match relaxed.trim_end_matches("\r\n") {
        "" => String::new(),
        text => format!("{text}\r\n"),
    }
}

/// Takes an RSA key out of its `SubjectPublicKeyInfo`: after the algorithm a bit string, whose first byte counts the bits that are no bits.
fn rsa_key(info: &[u8]) -> Vec<u8> {
    const NULL: &[u8] = &[0x05, 0x00, 0x03];
    let at = info.windows(NULL.len()).position(|bytes| bytes == NULL).expect("an RSA key") + NULL.len();
    let n_length = if info[at] < 0x80 { 1 } else { 1 + usize::from(info[at] & 0x7f) };
    info[at + n_length + 1..].to_vec()
}
