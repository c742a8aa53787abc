//! `kill -9` at random instants, while leads come in and mails go out.
//!
//! The seed is printed; `POSTHORN_KILL_SEED=N` repeats its choices (not the machine's timing), `POSTHORN_KILLS=200` makes a long run of it.

use std::io::Write;
use std::time::{Duration, Instant};

use posthorn::clock::wall_now;

use crate::support::database::{end_leases, number};
use crate::support::ledger::{Ledger, Sums};
use crate::support::posthorn::{Posthorn, Running};
use crate::support::records::{lead, ndjson, partner};
use crate::support::smtp::Relay;

/// Kills in a run of CI, over all tests of this file.
const KILLS: usize = 40;
const KILLED: i32 = -9;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A source of chances that can be asked for the same ones again (xorshift64).
struct Chance(u64);

impl Chance {
    fn new(test: &str) -> Self {
        let chosen = std::env::var("POSTHORN_KILL_SEED").ok().and_then(|text| text.parse().ok());
        let seed = chosen.unwrap_or_else(|| wall_now().as_millis().unsigned_abs());
        say(&format!("kill, {test}: POSTHORN_KILL_SEED={seed}"));
        Self(seed | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn sleep(&mut self, ms_max: u64) {
        std::thread::sleep(Duration::from_micros(self.below(ms_max * 1000)));
    }
}

/// What a test sees of its run.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// The kills of one of the tests of this file.
fn n_kills(share: usize) -> usize {
    let all = std::env::var("POSTHORN_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    (all / share).max(1)
}

fn relay() -> Relay {
    let relay = Relay::start();
    // Long enough that a kill often finds a mail whose final dot is out.
    relay.delay("DOT", Duration::from_millis(4), usize::MAX);
    relay
}

fn begin(posthorn: &Posthorn, relay: &Relay) {
    posthorn
        .setting("mail.transport", "smtp")
        .setting("smtp.relays", &relay.relays())
        .setting("portal.lead_desk", "desk@portal.example")
        .setting("worker.connections", "3")
        .setting("worker.batch", "10");
}

/// Some leads of three partners, as a portal writes them.
fn some(round: usize, n: usize, created: &str) -> (Vec<String>, String) {
    let ids: Vec<String> = (0..n).map(|i| format!("R{round}-{i}")).collect();
    let leads = ids.iter().enumerate().map(|(i, id)| {
        let partner = ["contoso", "fabrikam", "adatum"][i % 3];
        lead(id).partner(partner).created(created)
    });
    (ids.clone(), ndjson(leads))
}

/// Demands that every lead is named in a mail, and that the books balance.
#[track_caller]
fn check(posthorn: &Posthorn, ledger: &Ledger, relays: &[&Relay], ids: &[String]) -> Sums {
    let sums = ledger.balance(posthorn, relays);
    let texts: String = relays.iter().flat_map(|relay| relay.mails()).map(|mail| mail.text()).collect();
    let missing: Vec<&String> = ids.iter().filter(|id| !texts.contains(&format!("Deal {id}"))).collect();
    assert!(missing.is_empty(), "no mail names {missing:?}");
    assert_eq!(number(posthorn, "select count(*) as n from lead"), ids.len() as i64);
    posthorn.audit_is_clean();
    sums
}

/// Kills a command after a chance of a while; tells whether it was still at work.
fn kill_somewhere(chance: &mut Chance, mut running: Running, ms_max: u64) -> bool {
    chance.sleep(ms_max);
    running.kill().code == KILLED
}

/// Intake and work at moving instants: singles, digests, expiries.
fn kill_commands(engine: &str, posthorn: &Posthorn) {
    let mut chance = Chance::new(&format!("commands, {engine}"));
    let relay = relay();
    begin(posthorn, &relay);
    posthorn.rehearsal().at("2026-03-02T07:00:00Z").partner_records([
        partner("contoso").threshold(2),
        partner("fabrikam")
            .preferred("one@fabrikam.example")
            .preferred("two@fabrikam.example"),
        partner("adatum").threshold(0).cron("0 9,15,21 * * *"),
    ]);
    let begun = Instant::now();
    posthorn.ok(&["work", "--until-idle"]);
    // Beyond the time that a command takes on this machine, now and then, so that each of its parts is met.
    let ms_max = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).clamp(20, 2000) * 2;

    let (mut ledger, mut all, mut round) = (Ledger::default(), Vec::new(), 0);
    let mut now = posthorn::time::Timestamp::from_millis(1_772_438_400_000); // 2026-03-02T08:00:00Z
    let n_kills = n_kills(4);
    while ledger.n_deaths < n_kills {
        round += 1;
        assert!(round < n_kills * 20, "commands end before they are killed");
        now = now.plus(Duration::from_secs(3600 * (1 + chance.below(5))));
        posthorn.at(&now.to_string());
        let (ids, text) = some(round, 9, &now.to_string());
        all.extend(ids);
        let file = posthorn.file("leads.ndjson", &text);
        let import = ["import", "--yes", &file];
        if chance.below(3) == 0 && kill_somewhere(&mut chance, posthorn.start(&import), ms_max) {
            ledger.died(posthorn, &relay, relay.mails().len());
        }
        posthorn.ok(&import);
        let n_before = relay.mails().len();
        if kill_somewhere(&mut chance, posthorn.start(&["work", "--until-idle"]), ms_max) {
            ledger.died(posthorn, &relay, n_before);
            end_leases(posthorn);
        }
        if chance.below(2) == 0 {
            posthorn.ok(&["work", "--until-idle"]);
        }
    }
    for _ in 0..20 {
        posthorn.at(&now.to_string()).ok(&["work", "--until-idle"]);
        now = now.plus(DAY);
    }
    let sums = check(posthorn, &ledger, &[&relay], &all);
    say(&format!("kill, commands, {engine}: {} leads, {sums}", all.len()));
}

#[test]
fn a_command_killed_at_any_instant_loses_nothing_on_sqlite() {
    kill_commands("SQLite", &Posthorn::sqlite());
}

#[test]
fn a_command_killed_at_any_instant_loses_nothing_on_postgresql() {
    if let Some(posthorn) = Posthorn::postgres() {
        kill_commands("PostgreSQL", &posthorn);
    }
}

/// A `serve` with the relay that it alone talks to.
struct Server<'a> {
    relay: &'a Relay,
    running: Running,
    n_before: usize,
}

impl<'a> Server<'a> {
    fn start(posthorn: &Posthorn, relay: &'a Relay) -> Self {
        let n_before = relay.mails().len();
        // Not by the file, which the other one may still be about to read.
        posthorn.env("POSTHORN__SMTP__RELAYS", &relay.relays());
        Self {
            relay,
            running: posthorn.start(&["serve"]),
            n_before,
        }
    }

    fn kill(mut self, posthorn: &Posthorn, ledger: &mut Ledger) {
        let output = self.running.kill();
        assert_eq!(output.code, KILLED, "serve ended by itself\n{output}");
        ledger.died(posthorn, self.relay, self.n_before);
    }
}

/// Servers at work while leads come in; one of them is killed again and again.
fn kill_servers(engine: &str, posthorn: &Posthorn, relays: &[Relay]) {
    let mut chance = Chance::new(&format!("{} × serve, {engine}", relays.len()));
    begin(posthorn, &relays[0]);
    // Long enough that what is uncertain is read before another worker takes it over.
    posthorn
        .setting("worker.lease", "3 s")
        .setting("policy.digest_threshold", "1000000");
    posthorn.partner_records(["contoso", "fabrikam", "adatum"].map(partner));
    let mut servers: Vec<Server<'_>> = relays.iter().map(|relay| Server::start(posthorn, relay)).collect();
    let (mut ledger, mut all) = (Ledger::default(), Vec::new());
    for round in 0..n_kills(4) {
        let (ids, text) = some(round, 12, &wall_now().to_string());
        all.extend(ids);
        let file = posthorn.file("leads.ndjson", &text);
        let import = ["import", "--yes", &file];
        let importing = posthorn.start(&import);
        if chance.below(4) == 0 {
            kill_somewhere(&mut chance, importing, 100);
            posthorn.ok(&import);
        } else {
            chance.sleep(300);
            let output = { importing }.wait();
            assert_eq!(output.code, 0, "{output}");
        }
        chance.sleep(400);
        let victim = servers.remove(chance.below(servers.len() as u64) as usize);
        let relay = victim.relay;
        victim.kill(posthorn, &mut ledger);
        servers.push(Server::start(posthorn, relay));
    }
    let open = "select (select count(*) from notice where state = 'pending') + (select count(*) from delivery where state in ('queued', 'sending')) as n";
    servers[0].running.until("all mails are out", || number(posthorn, open) == 0);
    for server in &mut servers {
        // All mails may be out before the newest server has come so far as to listen for signals.
        let log = server.running.stderr_path();
        server.running.until("it serves", || {
            std::fs::read_to_string(&log).is_ok_and(|log| log.contains("serving"))
        });
        server.running.signal("TERM");
        let output = server.running.wait();
        assert_eq!(output.code, 0, "{output}");
    }
    let all_relays: Vec<&Relay> = relays.iter().collect();
    let sums = check(posthorn, &ledger, &all_relays, &all);
    say(&format!("kill, {} × serve, {engine}: {} leads, {sums}", relays.len(), all.len()));
}

#[test]
fn a_server_killed_at_any_instant_loses_nothing_on_sqlite() {
    kill_servers("SQLite", &Posthorn::sqlite(), &[relay()]);
}

#[test]
fn two_servers_of_which_one_is_killed_lose_nothing() {
    if let Some(posthorn) = Posthorn::postgres() {
        kill_servers("PostgreSQL", &posthorn, &[relay(), relay()]);
    }
}
