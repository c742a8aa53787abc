//! Leads from a NATS JetStream stream: each once, acknowledged when it is committed, against a real server.

use serde_json::{Value, json};

use crate::api::fresh;
use crate::support::nats::Nats;
use crate::support::posthorn::{Posthorn, Running, both};
use crate::support::records::{Lead, partner};

/// Runs a test with `serve` and a NATS server beside it, on both engines.
fn fed(arguments: &[&str], test: impl Fn(&Posthorn, &mut Nats, &mut Running)) {
    both(|posthorn| {
        let Some(mut nats) = Nats::start(arguments) else { return };
        posthorn.setting("nats.url", &nats.url()).setting("http.listen", "");
        if let [user, password] = arguments {
            let file = posthorn.file("nats-password", &format!("{password}\n"));
            posthorn.setting("nats.username", user).setting("nats.password_file", &file);
        }
        posthorn.partner_records([partner("contoso")]);
        let mut running = posthorn.start(&["serve"]);
        nats.until_listened_to();
        test(posthorn, &mut nats, &mut running);
        running.signal("TERM");
        let output = running.wait();
        assert_eq!(output.code, 0, "{output}");
    });
}

fn text(lead: Lead) -> String {
    Value::from(lead).to_string()
}

fn ids(posthorn: &Posthorn) -> Vec<String> {
    let listed = posthorn.json(&["leads", "list", "--sort", "created"]);
    let leads = listed["value"].as_array().expect("a list").iter();
    let mut ids: Vec<String> = leads.map(|lead| lead["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

/// `R-INTAKE`
#[test]
fn leads_come_from_a_stream_once_and_are_acknowledged_when_they_are_here() {
    fed(&[], |posthorn, nats, running| {
        nats.publish("leads.contoso", &[], &text(fresh("one")));
        nats.publish(
            "leads.many",
            &[],
            &json!([Value::from(fresh("two")), Value::from(fresh("three"))]).to_string(),
        );
        let event = json!({ "specversion": "1.0", "id": "7", "source": "/portal", "type": "lead", "data": Value::from(fresh("event")) });
        nats.publish("leads.event", &[], &event.to_string());
        nats.publish("leads.broken", &[], "{\"id\": \"broken\"");
        nats.publish(
            "leads.wrong",
            &[],
            &json!({ "id": "wrong", "organizationId": "contoso", "createdDateTime": "when Ada called" }).to_string(),
        );
        running.until("all is acknowledged", || nats.n_left() == 0);
        assert_eq!(ids(posthorn), ["event", "one", "three", "two"]);
        running.until("the leads are mailed", || posthorn.mails_of("lead").len() == 4);
        let rejected = posthorn.json(&["rejected", "list"]);
        let sources: Vec<&str> = rejected["value"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["source"].as_str().expect("a source"))
            .collect();
        assert_eq!(sources.len(), 2, "{rejected}");
        assert!(sources.iter().all(|source| source.starts_with("NATS LEADS ")), "{sources:?}");
        assert!(
            !running.stderr().contains("Ada"),
            "what a record says is the customer's, and in no log"
        );
        // The same once more, and then one that says what has been taken in when it is.
        nats.publish("leads.contoso", &[], &text(fresh("one")));
        nats.publish("leads.contoso", &[], &text(fresh("last")));
        running.until("the last one is here", || ids(posthorn).len() == 5);
        running.until("it is mailed", || posthorn.mails_of("lead").len() == 5);
        posthorn.audit_is_clean();
    });
}

/// A marketplace lead has no id and no partner: the header names the one, the place in the stream or the publisher's mark makes the other.
#[test]
fn marketplace_leads_come_with_their_partner_in_a_header() {
    fed(&[], |posthorn, nats, running| {
        let lead = json!({ "UserDetails": { "FirstName": "Ada", "LastName": "Byron", "Email": "ada@fabrikam.example", "Company": "Fabrikam" },
            "LeadSource": "SPZA-PLT|backup" });
        let partner = ("Posthorn-Partner", "contoso");
        nats.publish("leads.offer", &[partner], &lead.to_string());
        nats.publish("leads.offer", &[partner], &lead.to_string());
        nats.publish("leads.offer", &[], &lead.to_string());
        running.until("all is acknowledged", || nats.n_left() == 0);
        assert_eq!(ids(posthorn).len(), 2, "two customers may say the same");
        let rejected = posthorn.json(&["rejected", "list"]);
        assert_eq!(rejected["value"].as_array().map(Vec::len), Some(1), "nobody's lead: {rejected}");
    });
}

/// What is not committed is not acknowledged, and comes when the database is there again.
#[test]
fn nothing_is_lost_while_the_database_or_the_server_is_away() {
    fed(&[], |posthorn, nats, running| {
        nats.restart();
        nats.publish("leads.contoso", &[], &text(fresh("after a restart")));
        running.until("it goes on behind a restart of NATS", || ids(posthorn) == ["after a restart"]);
        if posthorn.is_postgres() {
            let log = running.stderr_path();
            posthorn.bar(true);
            nats.publish("leads.contoso", &[], &text(fresh("barred")));
            running.until("the log says so", || {
                std::fs::read_to_string(&log)
                    .is_ok_and(|log| log.contains("no leads come from NATS, next try in 5 s: ") && log.contains("database"))
            });
            assert_eq!(nats.n_left(), 1, "it is not acknowledged");
            posthorn.bar(false);
        }
        running.until("all is acknowledged", || nats.n_left() == 0);
    });
}

#[test]
fn an_account_proves_itself_by_a_password_file() {
    fed(&["posthorn", "s3cret"], |posthorn, nats, running| {
        nats.publish("leads.contoso", &[], &text(fresh("one")));
        running.until("it is here", || ids(posthorn) == ["one"]);
        running.until("it is acknowledged", || nats.n_left() == 0);
        let told = posthorn.run(&["doctor", "--json"]);
        assert!(
            told.stdout
                .contains("wait for the consumer posthorn: 0; that are being taken in: 0"),
            "{told}"
        );
        assert!(!running.stderr().contains("s3cret"));
    });
}

/// Doctor says why no leads come, and makes nothing.
#[test]
fn doctor_tells_of_a_server_that_is_not_there() {
    both(|posthorn| {
        posthorn.setting("nats.url", "nats://127.0.0.1:9");
        let told = posthorn.run(&["doctor", "--json"]);
        assert!(told.stdout.contains("No leads come from NATS: nats://127.0.0.1:9"), "{told}");
        assert_eq!(told.code, 1, "{told}");
    });
}

#[test]
fn what_cannot_be_an_address_of_nats_is_refused() {
    both(|posthorn| {
        for (key, value, said) in [
            ("nats.url", "http://nats.example", "nats://nats.example:4222"),
            ("nats.url", "nats://ada:secret@nats.example", "nats.password_file"),
            ("nats.stream", "LEADS.new", "letters, digits"),
            ("nats.subject", "leads.>.new", "leads.>"),
            ("nats.username", "ada", "needs nats.password_file"),
        ] {
            posthorn.setting(key, value);
            let told = posthorn.refused(3, &["config", "check"]);
            assert!(told.contains(key) && told.contains(said), "{key} = {value}: {told}");
            posthorn.without_setting(key);
        }
    });
}
