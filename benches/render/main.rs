//! What a mail's words cost: a lead mail and a digest of 100 leads, rendered from a set of templates that is loaded, and the same with MIME.
//!
//! Run it by `cargo xtask bench render`; `docs/reference/benchmarks.md` says what the figures mean.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

use posthorn::mail::{Letterhead, Outgoing, build};
use posthorn::outbox::Kind;
use posthorn::template::{Rendered, Set, View, sample};

/// The one that posthorn runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Long enough that a batch is many times what the clock resolves, short enough that a busy moment spoils few of them.
const BATCH_MICROS: u128 = 20_000;
/// Batches of which the median is told.
const N_BATCHES: usize = 25;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("render: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let set = Set::load(None)?;
    let loaded = started.elapsed();
    // A built-in language is made when it is first used.
    set.render(Kind::Lead, "en", &sample(Kind::Lead, "en"))?;
    println!(
        "load of {} languages: {:.1} ms; one of them made, and its first mail: {:.1} ms more",
        set.languages().count(),
        loaded.as_secs_f64() * 1e3,
        (started.elapsed() - loaded).as_secs_f64() * 1e3
    );
    let letterhead = Letterhead::new("Partner Portal <leads@portal.example>", None, Some("leads.portal.example"))?;
    for (name, kind, view) in [
        ("lead", Kind::Lead, sample(Kind::Lead, "en")),
        ("digest of 100", Kind::Digest, digest()),
    ] {
        let rendered = set.render(kind, "en", &view)?;
        let bytes = build(&letterhead, &outgoing(kind, &view, rendered.clone()))?;
        println!(
            "{name}: {} bytes of HTML, {} of text, {} as a mail",
            rendered.html.len(),
            rendered.text.len(),
            bytes.len()
        );
        report(name, "render", || drop(std::hint::black_box(set.render(kind, "en", &view))));
        report(name, "render and MIME", || {
            if let Ok(rendered) = set.render(kind, "en", &view) {
                drop(std::hint::black_box(build(&letterhead, &outgoing(kind, &view, rendered))));
            }
        });
    }
    Ok(())
}

/// A hundred leads: some urgent, some cooled, some as bare as a record may be.
fn digest() -> View {
    let mut view = sample(Kind::Digest, "en");
    view.leads = view.leads.iter().cloned().cycle().take(100).collect();
    (view.n_leads, view.n_listed, view.n_more, view.has_attachment) = (100, 100, 0, false);
    view
}

fn outgoing(kind: Kind, view: &View, rendered: Rendered) -> Outgoing {
    Outgoing {
        kind,
        message_id: "1@portal.example".to_owned(),
        date: "2026-03-02T08:12:00Z".parse().expect("a literal instant"),
        to: "kim@fabrikam.example".parse().expect("a literal address"),
        to_name: view.recipient.name.clone(),
        subject: rendered.subject,
        html: rendered.html,
        text: rendered.text,
        language: rendered.language,
        references: Vec::new(),
        in_reply_to: None,
        unsubscribe_url: view.unsubscribe_url.clone(),
        attachments: Vec::new(),
        extra_headers: Vec::new(),
    }
}

/// Tells the median of the batches, the fastest and the slowest.
fn report(name: &str, what: &str, mut once: impl FnMut()) {
    let mut n = 1_u32;
    while time(n, &mut once) * u128::from(n) < BATCH_MICROS * 1000 {
        n *= 2;
    }
    let mut nanos: Vec<u128> = (0..N_BATCHES).map(|_| time(n, &mut once)).collect();
    nanos.sort_unstable();
    let micros = |at: usize| nanos[at] as f64 / 1e3;
    println!(
        "{name}, {what}: {:.1} µs (median of {N_BATCHES}; {:.1} to {:.1})",
        micros(N_BATCHES / 2),
        micros(0),
        micros(N_BATCHES - 1)
    );
}

/// Returns the nanoseconds of one.
fn time(n: u32, once: &mut impl FnMut()) -> u128 {
    let started = Instant::now();
    for _ in 0..n {
        once();
    }
    started.elapsed().as_nanos() / u128::from(n)
}
