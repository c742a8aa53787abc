//! Leads mailed one by one: from the store to a Maildir, to a sink that answers at once and to one that is 5 ms away, beside loops that only send.

use std::time::Duration;

use posthorn::clock::wall_now;

use crate::measured::{self, Run};
use crate::report::line;
use crate::senders::Mails;
use crate::sink::Sink;
use crate::world::{Way, World};
use crate::{FAR, N_CONNECTIONS, Outcome, SINGLY, Wanted, records};

/// Of the leads, one in so many is mailed to the far relay: the bare loop takes four turns a mail there.
const FAR_SHARE: usize = 10;

/// Of the leads, one in so many is mailed as lettre's pool does: 44 ms a mail.
const POOL_SHARE: usize = 50;

/// One round's figures.
struct Round {
    import: Run,
    maildir: Run,
    smtp: Run,
    sink_cpu_seconds: f64,
    near: Peers,
    as_pool: Run,
    far: Run,
    far_peers: Peers,
    commits_per_second: f64,
    mail_bytes: usize,
}

/// What loops take that only send.
struct Peers {
    bare: Run,
    two_turns: Run,
    one_turn: Run,
}

impl Peers {
    fn measure(world: &World<'_>, sink: &Sink, n_mails: usize) -> Outcome<Self> {
        Ok(Self {
            bare: world.send("bare", sink.address(), n_mails)?,
            two_turns: world.send("two-turns", sink.address(), n_mails)?,
            one_turn: world.send("one-turn", sink.address(), n_mails)?,
        })
    }
}

/// Measures, and prints.
pub fn measure(wanted: &Wanted) -> Outcome {
    let (sink, far_sink) = (Sink::start(Duration::ZERO)?, Sink::start(FAR)?);
    let mut rounds = Vec::new();
    for n in 1..=wanted.n_rounds {
        let round = round(wanted, &sink, &far_sink)?;
        let per_second = |run: Run| wanted.n_leads as f64 / run.wall_seconds;
        eprintln!(
            "round {n} of {}: import {:.0}/s, Maildir {:.0}/s, SMTP {:.0}/s, bare loop {:.0}/s",
            wanted.n_rounds,
            per_second(round.import),
            per_second(round.maildir),
            per_second(round.smtp),
            per_second(round.near.bare),
        );
        rounds.push(round);
    }
    print(wanted, &rounds);
    Ok(())
}

fn round(wanted: &Wanted, sink: &Sink, far_sink: &Sink) -> Outcome<Round> {
    let world = World::new(wanted)?;
    let (leads, partners) = (world.path("leads.ndjson"), world.path("partners.ndjson"));
    records::write_partners(&partners)?;
    records::write_leads(&leads, wanted.n_leads, wall_now())?;

    let imported = world.database("imported")?;
    let to_maildir = world.config(&imported, Way::Maildir, SINGLY)?;
    world.posthorn(&to_maildir, &["migrate"])?;
    world.posthorn(&to_maildir, &["partners", "import", "partners.ndjson"])?;
    let import = world.posthorn(&to_maildir, &["import", "--yes", "leads.ndjson"])?;

    let copy = world.copy(&imported, "copied")?;
    let to_smtp = world.config(&copy, Way::Smtp(sink.address()), SINGLY)?;
    let maildir = world.posthorn(&to_maildir, &["work", "--until-idle"])?;

    let (n_before, cpu_before) = (sink.n_mails(), measured::own_cpu_seconds());
    let smtp = world.posthorn(&to_smtp, &["work", "--until-idle"])?;
    let sink_cpu_seconds = measured::own_cpu_seconds() - cpu_before;
    let n_sent = sink.n_mails() - n_before;
    if n_sent != wanted.n_leads as u64 {
        return Err(format!("{n_sent} mails came out of {} leads", wanted.n_leads).into());
    }
    let near = Peers::measure(&world, sink, wanted.n_leads)?;
    let as_pool = world.send("as-pool", sink.address(), wanted.n_leads.div_ceil(POOL_SHARE))?;

    let n_far = wanted.n_leads.div_ceil(FAR_SHARE);
    let distant = world.database("distant")?;
    let to_far = world.config(&distant, Way::Smtp(far_sink.address()), SINGLY)?;
    records::write_leads(&leads, n_far, wall_now())?;
    world.posthorn(&to_far, &["migrate"])?;
    world.posthorn(&to_far, &["partners", "import", "partners.ndjson"])?;
    world.posthorn(&to_far, &["import", "--yes", "leads.ndjson"])?;
    let far = world.posthorn(&to_far, &["work", "--until-idle"])?;
    let far_peers = Peers::measure(&world, far_sink, n_far)?;
    Ok(Round {
        import,
        maildir,
        smtp,
        sink_cpu_seconds,
        near,
        as_pool,
        far,
        far_peers,
        commits_per_second: measured::commits_per_second(world.folder())?,
        mail_bytes: Mails::read(&world.maildir())?.n_bytes_mean(),
    })
}

fn print(wanted: &Wanted, rounds: &[Round]) {
    println!(
        "{} leads of {} partners, {}, {N_CONNECTIONS} connections, {} rounds; a mail has {} bytes\n",
        wanted.n_leads,
        records::N_PARTNERS,
        wanted.engine(),
        rounds.len(),
        rounds[0].mail_bytes,
    );
    let n_near = wanted.n_leads as f64;
    let n_far = wanted.n_leads.div_ceil(FAR_SHARE) as f64;
    let speed = |what: &str, n: f64, run: &dyn Fn(&Round) -> Run| line(rounds, what, "mails/s", 0, |r| n / run(r).wall_seconds);
    line(rounds, "import", "leads/s", 0, |r| n_near / r.import.wall_seconds);
    speed("posthorn to a Maildir", n_near, &|r| r.maildir);
    speed("posthorn to the sink", n_near, &|r| r.smtp);
    speed("bare loop", n_near, &|r| r.near.bare);
    speed("as lettre's pool does it", wanted.n_leads.div_ceil(POOL_SHARE) as f64, &|r| {
        r.as_pool
    });
    speed("pipelined, two turns a mail", n_near, &|r| r.near.two_turns);
    speed("pipelined, one turn a mail: the sink's ceiling", n_near, &|r| r.near.one_turn);
    line(rounds, "posthorn / bare loop", "", 2, |r| {
        r.near.bare.wall_seconds / r.smtp.wall_seconds
    });
    line(rounds, "posthorn, the import counted in / bare loop", "", 2, |r| {
        r.near.bare.wall_seconds / (r.import.wall_seconds + r.smtp.wall_seconds)
    });
    println!();
    speed("posthorn, 5 ms away", n_far, &|r| r.far);
    speed("bare loop, 5 ms away", n_far, &|r| r.far_peers.bare);
    speed("pipelined, two turns a mail, 5 ms away", n_far, &|r| r.far_peers.two_turns);
    speed("pipelined, one turn a mail, 5 ms away", n_far, &|r| r.far_peers.one_turn);
    line(rounds, "posthorn / bare loop, 5 ms away", "", 2, |r| {
        r.far_peers.bare.wall_seconds / r.far.wall_seconds
    });
    println!();
    line(rounds, "peak resident memory, import", "MiB", 1, |r| r.import.peak_mib);
    line(rounds, "peak resident memory, Maildir", "MiB", 1, |r| r.maildir.peak_mib);
    line(rounds, "peak resident memory, SMTP", "MiB", 1, |r| r.smtp.peak_mib);
    println!();
    let cost = |what: &str, seconds: &dyn Fn(&Round) -> f64| line(rounds, what, "µs", 1, |r| 1e6 * seconds(r) / n_near);
    cost("processor time a lead, import", &|r| r.import.cpu_seconds);
    cost("processor time a mail, posthorn to the sink", &|r| r.smtp.cpu_seconds);
    cost("processor time a mail, the sink meanwhile", &|r| r.sink_cpu_seconds);
    cost("processor time a mail, bare loop", &|r| r.near.bare.cpu_seconds);
    println!();
    line(rounds, "commits of 4 kB to the same disk", "1/s", 0, |r| r.commits_per_second);
}
