//! What does not grow with what is stored: the memory of a worker while many leads wait, and what a mail costs beside many that were sent.

use std::time::Duration;

use posthorn::clock::wall_now;
use sqlx::{Connection, Executor, PgConnection};

use crate::measured::{self, Run};
use crate::world::{Database, Way, World};
use crate::{Outcome, SINGLY, Wanted, records};

/// Leads that are imported; the others are copies of their rows.
const N_IMPORTED: usize = 10_000;
/// How long a worker is watched while many leads wait.
const WATCHED: Duration = Duration::from_secs(20);
/// Mails by which the cost of one is measured.
const N_MEASURED: usize = 5_000;
/// How far apart the numbers of copied notices and deliveries are, so that what belongs together stays together.
const APART: usize = 100_000_000;
/// Mails that are sent while an old snapshot is held.
const N_BEHIND_SNAPSHOT: usize = 100_000;

/// Watches a worker's memory with 10,000 leads waiting, and with `n_waiting`.
pub fn measure_memory(wanted: &Wanted, n_waiting: usize) -> Outcome {
    println!(
        "resident memory of a worker in mode dry, {}, at most, in the first {WATCHED:?}\n",
        wanted.engine()
    );
    for n in [N_IMPORTED, n_waiting] {
        let world = World::new(wanted)?;
        let database = filled(&world, n)?;
        let config = world.config(&database, Way::Nowhere, SINGLY)?;
        let run = measured::run_for(&mut world.command(&config, &["work", "--until-idle"]), WATCHED)?;
        println!("{n:>9} leads waiting {:>8.1} MiB", run.peak_mib);
    }
    Ok(())
}

/// Measures what a mail costs beside 10,000 stored and sent, and beside `n_stored`; on PostgreSQL also after 100,000 were sent while somebody held an old
/// snapshot, so that none of the dead rows could be cleared away.
pub fn measure_claims(wanted: &Wanted, n_stored: usize) -> Outcome {
    println!(
        "claim, write and record a mail in mode dry, {}, {N_MEASURED} mails\n",
        wanted.engine()
    );
    for n in [N_IMPORTED, n_stored] {
        let world = World::new(wanted)?;
        let database = filled(&world, N_IMPORTED)?;
        let config = world.config(&database, Way::Nowhere, SINGLY)?;
        world.posthorn(&config, &["work", "--until-idle"])?;
        multiply(&database, n / N_IMPORTED)?;
        // The first ones read the pages that all later ones find in memory.
        further(&world, &database, 1)?;
        print(&format!("{n} stored and sent"), further(&world, &database, 2)?);
    }
    if wanted.postgres.is_some() {
        let world = World::new(wanted)?;
        let database = filled(&world, N_BEHIND_SNAPSHOT)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut old = runtime.block_on(PgConnection::connect(database.url()))?;
        runtime.block_on(old.execute("begin isolation level repeatable read; select count(*) from lead"))?;
        let config = world.config(&database, Way::Nowhere, SINGLY)?;
        world.posthorn(&config, &["work", "--until-idle"])?;
        print(
            &format!("{N_BEHIND_SNAPSHOT} sent, an old snapshot held"),
            further(&world, &database, 1)?,
        );
        runtime.block_on(old.close())?;
        print("the same, the snapshot let go", further(&world, &database, 2)?);
    }
    Ok(())
}

fn print(what: &str, run: Run) {
    println!(
        "{what:<40} {:>8.1} µs a mail, {:.1} µs of processor time",
        1e6 * run.wall_seconds / N_MEASURED as f64,
        1e6 * run.cpu_seconds / N_MEASURED as f64
    );
}

/// Imports leads, and copies their rows until there are `n`.
fn filled<'a>(world: &World<'a>, n: usize) -> Outcome<Database> {
    records::write_partners(&world.path("partners.ndjson"))?;
    records::write_leads(&world.path("leads.ndjson"), n.min(N_IMPORTED), wall_now())?;
    let database = world.database("filled")?;
    let config = world.config(&database, Way::Nowhere, SINGLY)?;
    world.posthorn(&config, &["migrate"])?;
    world.posthorn(&config, &["partners", "import", "partners.ndjson"])?;
    world.posthorn(&config, &["import", "--yes", "leads.ndjson"])?;
    multiply(&database, n / N_IMPORTED)?;
    Ok(database)
}

/// Takes in new leads, and works them off.
fn further(world: &World<'_>, database: &Database, nth: usize) -> Outcome<Run> {
    let name = format!("further-{nth}.ndjson");
    let first = nth * N_BEHIND_SNAPSHOT;
    records::write_leads_of(&world.path(&name), first..first + N_MEASURED, records::N_PARTNERS, wall_now())?;
    let config = world.config(database, Way::Nowhere, SINGLY)?;
    world.posthorn(&config, &["import", "--yes", &name])?;
    world.posthorn(&config, &["work", "--until-idle"])
}

/// Copies the rows of leads and what belongs to them until there are so many times as many: an import of a million would take minutes.
fn multiply(database: &Database, times: usize) -> Outcome {
    if times <= 1 {
        return Ok(());
    }
    let copies = format!(
        "(with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) select i from n) as n",
        times - 1
    );
    for (table, own, made) in [
        ("lead", vec!["seq", "id"], "id || '-' || i"),
        (
            "notice",
            vec!["id", "subject", "lead_id"],
            "id + i * {apart}, subject || '-' || i, lead_id || '-' || i",
        ),
        (
            "delivery",
            vec!["id", "notice_id", "lead_id"],
            "id + i * {apart}, notice_id + i * {apart}, lead_id || '-' || i",
        ),
        ("attempt", vec!["id", "delivery_id"], "id + i * {apart}, delivery_id + i * {apart}"),
        ("history", vec!["id", "lead_id"], "id + i * {apart}, lead_id || '-' || i"),
    ] {
        let others = database.columns(table, &own)?;
        let own = own.iter().filter(|name| **name != "seq").copied().collect::<Vec<_>>().join(", ");
        // PostgreSQL multiplies two small numbers as small ones.
        let made = made.replace("{apart}", &format!("cast({APART} as bigint)"));
        database.text(format!(
            "insert into {table} ({own}, {others}) select {made}, {others} from {table} cross join {copies}"
        ))?;
    }
    database.settle()
}
