//! Mails bear a signature (DKIM) that a mailbox can verify: with either algorithm, whatever is in the mail, by whichever way it leaves.

use posthorn::mail::{Attachment, KeyError, Letterhead, Outgoing, Signer};
use posthorn::outbox::Kind;

use crate::support::dkim::{Signature, verify};
use crate::support::posthorn::Posthorn;
use crate::support::records::{lead, partner};
use crate::support::smtp::Relay;

const RSA: &str = include_str!("../data/dkim/rsa.pem");
const RSA_PKCS1: &str = include_str!("../data/dkim/rsa-pkcs1.pem");
const ED25519: &str = include_str!("../data/dkim/ed25519.pem");

/// The mail of RFC 8463, appendix A.3: signed with both algorithms by somebody else.
const EXAMPLE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
";

/// RFC 8463, appendix A.1, as PKCS#8.
const EXAMPLE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

/// RFC 8463, appendix A.2.
fn example_dns(name: &str) -> Option<String> {
    let text = match name {
        "brisbane._domainkey.football.example.com" => "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "test._domainkey.football.example.com" => {
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/b\
             yYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn mail() -> Outgoing {
    Outgoing {
        kind: Kind::Lead,
        message_id: "0123456789abcdef0123456789abcdef@portal.example".into(),
        date: "2026-03-02T09:15:00.500Z".parse().expect("an instant"),
        to: "ada@contoso.example".parse().expect("an address"),
        to_name: Some("Ada Lovelace".into()),
        subject: "New lead: Fabrikam".into(),
        html: "<p>A lead.</p>\n".into(),
        text: "A lead.\n".into(),
        language: "en".into(),
        references: (0..4).map(|n| format!("{n:032x}@portal.example")).collect(),
        in_reply_to: Some(format!("{:032x}@portal.example", 3)),
        unsubscribe_url: Some("https://portal.example/u/abc".into()),
        attachments: vec![],
        extra_headers: vec![],
    }
}

fn build(mail: &Outgoing) -> Result<Vec<u8>, posthorn::mail::Error> {
    let letterhead = Letterhead::new(
        "Portal Leads <leads@portal.example>",
        Some("desk@portal.example"),
        Some("leads.portal.example"),
    )?;
    posthorn::mail::build(&letterhead, mail)
}

fn signer(pem: &str) -> Signer {
    Signer::new("portal.example", "posthorn-2026", pem).expect("a key that signs")
}

fn sign(signer: &Signer, mut mail: Vec<u8>) -> Vec<u8> {
    signer.sign(&mut mail).expect("it can be signed");
    mail
}

/// Verifies a mail by what its signer says is to be published.
#[track_caller]
fn check(signer: &Signer, mail: &[u8]) -> Signature {
    let (name, text) = signer.record();
    let mut signatures = verify(mail, |asked| (asked == name).then(|| text.clone()))
        .unwrap_or_else(|wrong| panic!("{wrong}\n{}", String::from_utf8_lossy(mail)));
    assert_eq!(signatures.len(), 1, "{}", String::from_utf8_lossy(mail));
    signatures.remove(0)
}

#[test]
fn what_verifies_here_verifies_the_example_of_rfc_8463() {
    let example = EXAMPLE.replace('\n', "\r\n");
    let signatures = verify(example.as_bytes(), example_dns).expect("both hold");
    let algorithms: Vec<&str> = signatures.iter().map(|signature| signature.algorithm.as_str()).collect();
    assert_eq!(algorithms, ["ed25519-sha256", "rsa-sha256"]);
    let changed = example.replace("dinner ready", "dinner steady");
    verify(changed.as_bytes(), example_dns).expect_err("a changed subject");
    let added = example.replace("To: Suzie", "From: eve@evil.example\r\nTo: Suzie");
    verify(added.as_bytes(), example_dns).expect_err("a second sender");
}

/// The key, the record and the hash of the body are the RFC's own.
#[test]
fn the_example_of_rfc_8463_is_signed_as_there() {
    let example = EXAMPLE.replace('\n', "\r\n");
    let bare = &example[example.find("From: ").expect("a sender")..];
    let signer = Signer::new("football.example.com", "brisbane", EXAMPLE_KEY).expect("the RFC's key");
    let (name, text) = signer.record();
    assert_eq!(example_dns(&name), Some(text));
    let signed = sign(&signer, bare.as_bytes().to_vec());
    assert!(
        String::from_utf8_lossy(&signed).contains("bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;"),
        "{}",
        String::from_utf8_lossy(&signed)
    );
    let signatures = verify(&signed, example_dns).expect("it holds");
    assert_eq!(signatures[0].signed, ["from", "to", "subject", "date", "message-id", "from"]);
}

#[test]
fn every_mail_is_signed_so_that_it_verifies_with_either_algorithm() {
    let csv = Attachment {
        file_name: "Übersicht März.csv".into(),
        content_type: "text/csv; charset=utf-8".into(),
        bytes: "id,Kunde\r\n1,Müller\r\n\r\n\r\n".into(),
    };
    let with = |change: &dyn Fn(&mut Outgoing)| {
        let mut mail = mail();
        change(&mut mail);
        build(&mail).expect("a mail")
    };
    let mails: [(&str, Vec<u8>); 10] = [
        ("plain", with(&|_| ())),
        (
            "a long subject in UTF-8, folded",
            with(&|mail| mail.subject = "🔥 neue Leads für Müller & Söhne ".repeat(6)),
        ),
        (
            "a subject of blanks and tabs",
            with(&|mail| mail.subject = "a\t b  \t  c ; d=evil.example; b=".into()),
        ),
        ("no text", with(&|mail| (mail.text, mail.html) = (String::new(), String::new()))),
        ("dots", with(&|mail| mail.text = ".\n..\n.leading\n\n.\n".into())),
        (
            "blanks at line ends",
            with(&|mail| mail.text = "one \ntwo\t\n \n\t\t\n  three   four\t\tfive\n\n\n\n".into()),
        ),
        ("base64", with(&|mail| mail.text = "新しいリード\n".repeat(40))),
        ("attachments", with(&|mail| mail.attachments = vec![csv.clone(), csv.clone()])),
        ("few headers", {
            with(&|mail| {
                (mail.in_reply_to, mail.unsubscribe_url) = (None, None);
                mail.references.clear();
            })
        }),
        (
            "no body at all",
            b"From: a@portal.example\r\nTo:  b@c.example \t\r\nsubject :x\r\n\r\n".to_vec(),
        ),
    ];
    for pem in [RSA, RSA_PKCS1, ED25519] {
        let signer = signer(pem);
        for (name, mail) in &mails {
            let signed = sign(&signer, mail.clone());
            assert!(
                signed.ends_with(mail),
                "{name}: the signature stands before the mail, and changes nothing in it"
            );
            let lines = signed[..signed.len() - mail.len()].split(|byte| *byte == b'\n');
            assert!(
                lines.into_iter().all(|line| line.len() <= 78),
                "{name}: {}",
                String::from_utf8_lossy(&signed)
            );
            check(&signer, &signed);
        }
    }
    let (a, b) = (signer(RSA), signer(RSA_PKCS1));
    assert_eq!(a.record(), b.record(), "one key in two forms");
}

/// RFC 8058 §4: without its headers in the signature, nobody unsubscribes by one click.
#[test]
fn what_people_see_and_what_unsubscribes_is_signed_and_no_second_sender_can_be_added() {
    let signer = signer(ED25519);
    let signed = sign(&signer, build(&mail()).expect("a mail"));
    let names = check(&signer, &signed).signed;
    assert_eq!(
        names.join(" "),
        "from to subject date message-id reply-to in-reply-to references mime-version content-type list-id list-unsubscribe \
         list-unsubscribe-post auto-submitted from"
    );
    let (name, text) = signer.record();
    let holds = |mail: &[u8]| verify(mail, |asked| (asked == name).then(|| text.clone())).is_ok();
    assert!(!holds(&[b"From: eve@evil.example\r\n", signed.as_slice()].concat()));
    assert!(
        holds(&[b"Received: by relay.example\r\n", signed.as_slice()].concat()),
        "what a relay adds does no harm"
    );
}

#[test]
fn a_changed_byte_anywhere_in_what_is_signed_breaks_the_signature() {
    for pem in [RSA, ED25519] {
        let signer = signer(pem);
        let (name, text) = signer.record();
        let signed = sign(&signer, build(&mail()).expect("a mail"));
        let written = String::from_utf8(signed.clone()).expect("ASCII");
        for (from, to) in [
            ("A lead.", "A leaf."),
            ("Subject: New", "Subject: Old"),
            ("ada@contoso", "eve@contoso"),
            ("u/abc>", "u/abd>"),
            ("One-Click", "One-Clock"),
            ("desk@", "disk@"),
            ("09:15:00", "09:15:01"),
            ("h=From:To:", "h=From:"),
            ("<p>", "<b>"),
            ("s=posthorn-2026", "s=posthorn-2025"),
        ] {
            assert!(written.contains(from), "{from}");
            let changed = written.replacen(from, to, 1);
            let verified = verify(changed.as_bytes(), |asked| (asked == name).then(|| text.clone()));
            assert!(verified.is_err(), "{from} became {to}");
        }
    }
}

/// A repeat after a mail in doubt is the same mail, to the byte.
#[test]
fn the_same_mail_and_key_give_the_same_signature() {
    for pem in [RSA, ED25519] {
        let mail = build(&mail()).expect("a mail");
        assert_eq!(sign(&signer(pem), mail.clone()), sign(&signer(pem), mail));
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused_with_its_reason() {
    let damaged = RSA.replacen("MII", "MIJ", 1);
    let cut = &ED25519[..ED25519.len() - 10];
    for (pem, why) in [
        (include_str!("../data/dkim/public.pem"), KeyError::Public),
        (include_str!("../data/dkim/encrypted.pem"), KeyError::Encrypted),
        (include_str!("../data/dkim/encrypted-pkcs1.pem"), KeyError::Encrypted),
        (include_str!("../data/dkim/rsa-1024.pem"), KeyError::Size),
        (include_str!("../data/dkim/ec.pem"), KeyError::Algorithm),
        (include_str!("../data/dkim/ec-sec1.pem"), KeyError::Algorithm),
        ("nothing of the kind", KeyError::NoKey),
        (damaged.as_str(), KeyError::Damaged),
        (cut, KeyError::Damaged),
    ] {
        assert_eq!(Signer::new("portal.example", "s", pem).err(), Some(why), "{pem}");
    }
    assert!(!format!("{:?}", signer(RSA)).contains("key"), "nothing of a key is printed");
}

/// Sets a signature up by the key `pem`, and mails that can be unsubscribed from.
fn signing(posthorn: &Posthorn, pem: &str) {
    let key = posthorn.file("dkim.pem", pem);
    posthorn
        .setting("mail.from", "Bücher <leads@mail.bücher.example>")
        .setting("http.public_url", "https://portal.example")
        .setting("dkim.domain", "bücher.example")
        .setting("dkim.selector", "posthorn-2026")
        .setting("dkim.key_file", &key);
}

/// Verifies a mail by the record that `config check` says is to be published.
#[track_caller]
fn check_by_record(posthorn: &Posthorn, mail: &[u8]) -> Signature {
    let checked = posthorn.json(&["config", "check"]);
    assert!(!checked["notes"].to_string().contains("DMARC"), "{checked}");
    let record = checked["dkim"]["record"].as_str().expect("a record");
    assert_eq!(record, "posthorn-2026._domainkey.xn--bcher-kva.example");
    let text = checked["dkim"]["text"].as_str().expect("its text");
    let mut signatures = verify(mail, |asked| (asked == record).then(|| text.to_owned())).expect("it holds");
    assert_eq!(signatures.len(), 1);
    signatures.remove(0)
}

#[test]
fn mails_in_the_maildir_bear_a_signature_that_holds_whatever_the_mode() {
    for (pem, algorithm, mode) in [
        (RSA, "rsa-sha256", "live"),
        (RSA_PKCS1, "rsa-sha256", "redirect"),
        (ED25519, "ed25519-sha256", "live"),
    ] {
        let posthorn = Posthorn::sqlite();
        signing(&posthorn, pem);
        posthorn.setting("mode", mode).setting("mail.redirect_to", "ada@test.example");
        posthorn.at("2026-03-02T09:00:00.000Z");
        posthorn.partner_records([partner("contoso")]);
        let leads = (1..=14).map(|i| {
            lead(&format!("L{i}"))
                .customer(&format!("Müller {i} & Söhne. "))
                .created("2026-03-02T08:00:00Z")
        });
        posthorn.leads(leads).work();
        posthorn.at("2026-03-02T18:00:00.000Z").work();
        let mails = posthorn.mails();
        assert_eq!(mails.len(), 11, "ten singly, one digest");
        for mail in mails {
            let signature = check_by_record(&posthorn, &mail.raw);
            assert_eq!(signature.algorithm, algorithm);
            for name in ["list-unsubscribe", "list-unsubscribe-post"] {
                assert!(signature.signed.contains(&name.to_owned()), "{name} is not signed: {signature:?}");
            }
        }
    }
}

#[test]
fn a_signature_comes_through_a_relay_whole() {
    let relay = Relay::start();
    let posthorn = Posthorn::sqlite();
    signing(&posthorn, RSA);
    posthorn.setting("mail.from", "leads@xn--bcher-kva.example");
    posthorn.setting("mail.transport", "smtp").setting("smtp.relays", &relay.relays());
    posthorn.rehearsal().at("2026-03-02T09:00:00.000Z");
    posthorn.partner_records([partner("contoso")]);
    posthorn.leads([lead("L1").customer(".").with("name", ".\r\n.hidden")]).work();
    let mails = relay.wait_for_mails(1);
    check_by_record(&posthorn, &mails[0].data);
}

#[test]
fn a_key_that_cannot_sign_stops_whatever_would_send() {
    let posthorn = Posthorn::sqlite();
    signing(&posthorn, ED25519);
    posthorn.setting("mode", "dry");
    for (content, said) in [
        (include_str!("../data/dkim/rsa-1024.pem"), "2048 to 4096 bits"),
        (include_str!("../data/dkim/public.pem"), "public key"),
        ("", "is empty"),
    ] {
        let path = posthorn.file("dkim.pem", content);
        for command in [&["config", "check"][..], &["work", "--until-idle"], &["serve"]] {
            let refused = posthorn.refused(3, command);
            assert!(
                refused.contains("posthorn.toml:")
                    && refused.contains("dkim.key_file: ")
                    && refused.contains(said)
                    && refused.contains(&path),
                "{command:?}: {refused}"
            );
            assert_eq!(refused.matches("dkim.key_file").count(), 1, "{refused}");
        }
    }
    posthorn.setting("dkim.key_file", "/nowhere/dkim.pem");
    let refused = posthorn.refused(3, &["config", "check"]);
    assert!(
        refused.contains("dkim.key_file: cannot read the secret in /nowhere/dkim.pem: it does not exist"),
        "{refused}"
    );
    // What sends nothing needs no key.
    posthorn.ok(&["status"]);
}
