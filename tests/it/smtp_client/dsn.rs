//! What a relay that can report (RFC 3461) is asked to report.

use super::*;

async fn said(relay: &smtp::Relay, notify_success: bool, to: &str) -> (String, String) {
    let mut settings = settings(relay, Tls::None);
    settings.notify_success = notify_success;
    let mut connection = Connection::open(&settings).await.unwrap();
    let to = address(to);
    connection.send_before(envelope(&to), MAIL, None).await.unwrap();
    let mail = relay.mails().pop().unwrap();
    (mail.from, mail.to[0].clone())
}

#[tokio::test]
async fn a_relay_that_reports_is_told_how_the_mail_is_named_and_what_is_of_interest() {
    let relay = smtp::Relay::start();
    relay.offer("DSN");
    assert_eq!(
        said(&relay, false, "ada+x@contoso.example").await,
        (
            "<bounces@portal.example> ENVID=abc+2Bdef RET=HDRS".to_owned(),
            "<ada+x@contoso.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ada+2Bx@contoso.example".to_owned()
        )
    );
    let (_, to) = said(&relay, true, "ada@contoso.example").await;
    assert!(to.contains(" NOTIFY=SUCCESS,FAILURE,DELAY "), "{to}");
}

#[tokio::test]
async fn a_relay_that_does_not_report_is_told_nothing_of_it() {
    let relay = smtp::Relay::start();
    assert_eq!(
        said(&relay, true, "ada@contoso.example").await,
        ("<bounces@portal.example>".to_owned(), "<ada@contoso.example>".to_owned())
    );
}
