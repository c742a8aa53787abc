//! What the relay announced that it cannot take: refused on its behalf, at the stage that says whose fault it is.

use posthorn::outbox::Stage;

use super::*;

#[tokio::test]
async fn an_address_that_needs_smtputf8_is_the_addresss_fault_where_it_is_not_offered() {
    let relay = smtp::Relay::start();
    let mut connection = open(&relay).await;
    let failed = send(&mut connection, "jörg@contoso.example").await.unwrap_err();
    let reply = failed.reply.clone().unwrap();
    assert_eq!((failed.stage, reply.code, reply.enhanced), (Stage::RcptTo, 553, Some((5, 6, 7))));
    assert!(connection.is_usable());
    send(&mut connection, "ada@contoso.example").await.unwrap();
}

#[tokio::test]
async fn an_address_that_needs_smtputf8_is_sent_where_it_is_offered() {
    let relay = smtp::Relay::start();
    relay.offer("SMTPUTF8");
    let mail = "To: jörg@contoso.example\r\n\r\nhi\r\n";
    open(&relay)
        .await
        .send(SENDER, &address("jörg@contoso.example"), mail.as_bytes())
        .await
        .unwrap();
    let got = &relay.mails()[0];
    assert_eq!(got.from, "<bounces@portal.example> SMTPUTF8 BODY=8BITMIME");
    assert_eq!((got.to[0].as_str(), got.text().as_str()), ("<jörg@contoso.example>", mail));
}

#[tokio::test]
async fn a_mail_above_the_announced_size_is_the_mails_fault_and_is_not_sent() {
    let relay = smtp::Relay::start();
    relay.offer(&format!("SIZE {}", MAIL.len() - 1));
    let mut connection = open(&relay).await;
    let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
    let reply = failed.reply.clone().unwrap();
    assert_eq!((failed.stage, reply.code, reply.enhanced), (Stage::Data, 552, Some((5, 3, 4))));
    assert_eq!(relay.verbs(), ["EHLO"]);
    assert!(connection.is_usable());

    relay.offer(&format!("SIZE {}", MAIL.len()));
    send(&mut open(&relay).await, "ada@contoso.example").await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_never_reaches_the_wire() {
    let relay = smtp::Relay::start();
    let mut connection = open(&relay).await;
    for text in ["ada@contoso.example>\r\nDATA\r\n", "ada", "", "a b@contoso.example"] {
        let failed = connection
            .send(SENDER, &EmailAddress::from_stored(text.to_owned()), MAIL)
            .await
            .unwrap_err();
        assert_eq!((failed.stage, failed.reply.unwrap().code), (Stage::RcptTo, 553), "{text:?}");
    }
    for text in ["x@y>\r\nRSET", "nobody"] {
        let failed = connection.send(text, &address("ada@contoso.example"), MAIL).await.unwrap_err();
        assert_eq!((failed.stage, failed.reply.is_none()), (Stage::MailFrom, true), "{text:?}");
    }
    assert_eq!(relay.verbs(), ["EHLO"]);
    assert!(connection.is_usable());
}
