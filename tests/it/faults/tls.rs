//! TLS is broken: a certificate for somebody else, or of nobody known, a handshake that is cut off, a certificate of ours that is asked for.

use super::*;

fn posthorn(relay: &Relay, more: &str) -> Posthorn {
    let posthorn = Posthorn::sqlite();
    posthorn.file("ca.pem", Relay::ca_pem());
    let (certificate, key) = Relay::client_identity();
    posthorn.file("client.pem", &certificate);
    posthorn.file("client.key", &key);
    set(&posthorn, relay, more);
    posthorn.rehearsal().at(MONDAY).partner_records(partners(3));
    posthorn
}

fn set(posthorn: &Posthorn, relay: &Relay, more: &str) {
    let entry = format!("{{ host = \"127.0.0.1\", port = {}, tls = \"implicit\"{more} }}", relay.port());
    with_relays(posthorn, &[entry]);
}

const CA: &str = ", ca_file = \"ca.pem\", connections = 1";

/// Nothing goes to a stranger, nothing is lost, and `status` says what is wrong; no attempt is counted, as people have to repair it.
#[test]
fn a_relay_with_a_wrong_certificate_is_left_alone_until_it_has_the_right_one() {
    for (relay, more) in [
        (Relay::start_as_a_stranger(), CA),
        // Right, and of a CA that nobody named.
        (Relay::start_with_implicit_tls(), ", connections = 1"),
    ] {
        let posthorn = posthorn(&relay, more);
        posthorn.leads(leads("L", 3, 3)).work();
        assert_eq!(relay.mails().len(), 0);
        assert_eq!(
            number(
                &posthorn,
                "select count(*) as n from delivery where state = 'queued' and attempt = 0"
            ),
            3
        );
        let status = posthorn.json(&["status"]);
        let why = status["relays"][0]["why"].as_str().unwrap_or_default();
        assert!(why.contains("certificate"), "{status}");
        let right = Relay::start_with_implicit_tls();
        set(&posthorn, &right, CA);
        posthorn.at(&after(3 * DAY)).work();
        assert_eq!(counts(&posthorn, &[&right]).n_told, 3);
    }
}

#[test]
fn a_handshake_that_is_cut_off_is_a_relay_that_is_away() {
    let relay = Relay::start_cutting_handshakes();
    let posthorn = posthorn(&relay, CA);
    posthorn.leads(leads("L", 3, 3)).work();
    assert_eq!(in_state(&posthorn, "queued"), 3);
    assert_eq!(relay_states(&posthorn), ["open"]);
    let right = Relay::start_with_implicit_tls();
    set(&posthorn, &right, CA);
    posthorn.at(&after(2 * MINUTE)).work();
    assert_eq!(counts(&posthorn, &[&right]).n_told, 3);
}

#[test]
fn a_relay_that_asks_for_our_certificate_is_shown_it() {
    let relay = Relay::start_with_mutual_tls();
    let posthorn = posthorn(&relay, CA);
    posthorn.leads(leads("L", 3, 3)).work();
    assert_eq!((relay.mails().len(), in_state(&posthorn, "queued")), (0, 3));
    set(
        &posthorn,
        &relay,
        ", ca_file = \"ca.pem\", certificate_file = \"client.pem\", key_file = \"client.key\"",
    );
    posthorn.at(&after(2 * MINUTE)).work();
    assert_eq!(counts(&posthorn, &[&relay]).n_told, 3);
}
