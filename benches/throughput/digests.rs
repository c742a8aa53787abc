//! Leads mailed as digests of a hundred, beside a loop that only sends mails of the same size.

use std::time::Duration;

use posthorn::clock::wall_now;

use crate::measured::Run;
use crate::report::line;
use crate::senders::Mails;
use crate::sink::Sink;
use crate::world::{Way, World};
use crate::{N_CONNECTIONS, Outcome, Wanted, records};

/// Leads of a digest: as many as one lists by default.
const N_LEADS_EACH: usize = 100;

struct Round {
    digests: Run,
    bare: Run,
    mail_bytes: usize,
}

/// Measures, and prints.
pub fn measure(wanted: &Wanted) -> Outcome {
    let n_digests = wanted.n_leads.div_ceil(N_LEADS_EACH);
    let sink = Sink::start(Duration::ZERO)?;
    let mut rounds = Vec::new();
    for _ in 0..wanted.n_rounds {
        rounds.push(round(wanted, &sink, n_digests)?);
    }
    println!(
        "{n_digests} digests of {N_LEADS_EACH} leads, {}, {N_CONNECTIONS} connections, {} rounds; a mail has {} bytes\n",
        wanted.engine(),
        rounds.len(),
        rounds[0].mail_bytes
    );
    let n = n_digests as f64;
    line(&rounds, "posthorn to the sink", "mails/s", 0, |r| n / r.digests.wall_seconds);
    line(&rounds, "bare loop, mails of the same size", "mails/s", 0, |r| {
        n / r.bare.wall_seconds
    });
    line(&rounds, "posthorn / bare loop", "", 2, |r| {
        r.bare.wall_seconds / r.digests.wall_seconds
    });
    line(&rounds, "processor time a mail, posthorn", "µs", 0, |r| {
        1e6 * r.digests.cpu_seconds / n
    });
    line(&rounds, "processor time a mail, bare loop", "µs", 0, |r| {
        1e6 * r.bare.cpu_seconds / n
    });
    line(&rounds, "peak resident memory, posthorn", "MiB", 1, |r| r.digests.peak_mib);
    Ok(())
}

fn round(wanted: &Wanted, sink: &Sink, n_digests: usize) -> Outcome<Round> {
    let world = World::new(wanted)?;
    records::write_partners_of(&world.path("partners.ndjson"), n_digests)?;
    records::write_leads_of(&world.path("leads.ndjson"), 0..n_digests * N_LEADS_EACH, n_digests, wall_now())?;
    let waiting = world.database("waiting")?;
    let to_maildir = world.config(&waiting, Way::Maildir, 0)?;
    world.posthorn(&to_maildir, &["migrate"])?;
    world.posthorn(&to_maildir, &["partners", "import", "partners.ndjson"])?;
    world.posthorn(&to_maildir, &["import", "--yes", "leads.ndjson"])?;
    world.posthorn(&to_maildir, &["digest", "run", "--all", "--yes"])?;
    let copy = world.copy(&waiting, "copied")?;
    world.posthorn(&to_maildir, &["work", "--until-idle"])?;

    let n_before = sink.n_mails();
    let to_smtp = world.config(&copy, Way::Smtp(sink.address()), 0)?;
    let digests = world.posthorn(&to_smtp, &["work", "--until-idle"])?;
    let n_sent = sink.n_mails() - n_before;
    if n_sent != n_digests as u64 {
        return Err(format!("{n_sent} mails came out of {n_digests} digests").into());
    }
    Ok(Round {
        digests,
        bare: world.send("bare", sink.address(), n_digests)?,
        mail_bytes: Mails::read(&world.maildir())?.n_bytes_mean(),
    })
}
