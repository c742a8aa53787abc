//! What goes well.

use posthorn::mail::{Connection, Tls};

use super::*;

#[tokio::test]
async fn a_mail_arrives_with_its_envelope_and_byte_for_byte() {
    let relay = smtp::Relay::start();
    let mut connection = open(&relay).await;
    let reply = send(&mut connection, "ada@contoso.example").await.unwrap();
    assert_eq!(
        (reply.code, reply.enhanced, reply.text.as_str()),
        (250, Some((2, 0, 0)), "2.0.0 queued")
    );
    connection.close().await;

    let [mail] = relay.mails().try_into().unwrap();
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("<bounces@portal.example>", ["<ada@contoso.example>".to_owned()].as_slice())
    );
    assert_eq!(mail.data, MAIL);
    assert_eq!(relay.verbs(), ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]);
    assert_eq!(relay.lines()[0], "EHLO posthorn.test");
}

#[tokio::test]
async fn many_mails_share_one_connection_with_and_without_pipelining() {
    for is_pipelined in [true, false] {
        let relay = smtp::Relay::start();
        if !is_pipelined {
            relay.withdraw("PIPELINING");
        }
        let mut connection = open(&relay).await;
        for n in 0..20 {
            assert!(connection.is_usable());
            send(&mut connection, &format!("p{n}@contoso.example")).await.unwrap();
        }
        let mails = relay.mails();
        assert_eq!(mails.len(), 20, "pipelined: {is_pipelined}");
        assert!(mails.iter().all(|mail| mail.connection == 1 && mail.data == MAIL));
        assert_eq!(relay.n_connections(), 1);
        assert!(
            !relay.verbs().iter().any(|verb| verb == "NOOP" || verb == "RSET"),
            "{:?}",
            relay.verbs()
        );
    }
}

/// With PIPELINING the three commands leave before the first is answered; without, each waits for its answer.
#[tokio::test]
async fn commands_wait_for_each_other_only_without_pipelining() {
    for (is_pipelined, expected) in [(true, ["EHLO", "MAIL", "RCPT", "DATA"].as_slice()), (false, &["EHLO", "MAIL"])] {
        let relay = smtp::Relay::start();
        if !is_pipelined {
            relay.withdraw("PIPELINING");
        }
        // The relay answers MAIL with a refusal; what it hears after that tells what had been sent already.
        relay.refuse("MAIL", "451 4.3.0 later", 1);
        let mut connection = open(&relay).await;
        send(&mut connection, "ada@contoso.example").await.unwrap_err();
        let verbs: Vec<String> = relay.verbs().into_iter().filter(|verb| verb != "RSET").collect();
        assert_eq!(verbs, expected);
        assert!(connection.is_usable());
    }
}

#[tokio::test]
async fn lines_that_begin_with_a_dot_arrive_as_they_were() {
    let relay = smtp::Relay::start();
    let mut connection = open(&relay).await;
    for data in [
        "Subject: a\r\n\r\n.\r\n..\r\n.dot\r\n",
        ".\r\n",
        "Subject: a\r\n\r\nends in a dot\r\n.\r\n",
        "Subject: a\r\n\r\nMAIL FROM:<eve@evil.example>\r\nQUIT\r\n",
        "\r\n",
    ] {
        connection
            .send(SENDER, &address("ada@contoso.example"), data.as_bytes())
            .await
            .unwrap();
        assert_eq!(relay.mails().pop().unwrap().text(), data);
    }
}

#[tokio::test]
async fn a_large_mail_arrives_whole() {
    let relay = smtp::Relay::start();
    let line = format!("{}\r\n", "x".repeat(76));
    let data = format!("Subject: big\r\n\r\n{}", line.repeat(40_000));
    let mut connection = open(&relay).await;
    connection
        .send(SENDER, &address("ada@contoso.example"), data.as_bytes())
        .await
        .unwrap();
    assert!(relay.mails()[0].text() == data, "3 MB came out changed");
    send(&mut connection, "bob@contoso.example").await.unwrap();
}

#[tokio::test]
async fn an_empty_sender_is_the_null_path() {
    let relay = smtp::Relay::start();
    open(&relay).await.send("", &address("ada@contoso.example"), MAIL).await.unwrap();
    assert_eq!(relay.mails()[0].from, "<>");
}

#[tokio::test]
async fn eight_connections_work_side_by_side() {
    let relay = smtp::Relay::start();
    let settings = settings(&relay, Tls::None);
    let senders = (0..8).map(|n| {
        let settings = settings.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(&settings).await.unwrap();
            for m in 0..10 {
                send(&mut connection, &format!("p{n}.{m}@contoso.example")).await.unwrap();
            }
            connection.close().await;
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let mut to: Vec<String> = relay.mails().into_iter().flat_map(|mail| mail.to).collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 80);
}
