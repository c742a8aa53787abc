//! What `/metrics` tells (Prometheus). It begins with the questions: is anything late, what waits, what came of it, does somebody have to look.
//!
//! **Invariants:** a metric is moved by the function that writes its fact's log line, or set from the database when it is asked for; labels are few and
//! bounded, and never a lead, a partner or an address. [`METRICS`] is the whole list, from which the help and the reference page are made.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use crate::outbox::circuit::Answer;
use crate::telemetry::series::{self, Series};

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Goes up only.
    Counter,
    /// Is what it is.
    Gauge,
    /// A distribution, with these upper bounds, in seconds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// Returns the word for it, in Prometheus' format too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A metric, as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in a sentence.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

/// All metrics, in the order of the questions.
pub const METRICS: &[Metric] = &[
    metric(
        OLDEST_DUE,
        Kind::Gauge,
        &[],
        "Age of the oldest mail that is due and not yet sent; 0 where none is.",
    ),
    metric(
        BACKLOG,
        Kind::Gauge,
        &["kind"],
        "Mails that wait, by kind: due, or to be tried again.",
    ),
    metric(
        LEAD_TO_SENT,
        Kind::Histogram(LEAD_TO_SENT_SECONDS),
        &[],
        "From a lead's arrival to the relay's word that it has its mail; leads mailed singly.",
    ),
    metric(
        DELIVERIES,
        Kind::Counter,
        &["kind", "outcome"],
        "What became of mails that were taken up: sent, failed, retried, postponed (for a relay or a pace), in_doubt, cancelled.",
    ),
    metric(
        BOUNCES,
        Kind::Counter,
        &["class", "state"],
        "Mails that came to where bounces go: what they say, and whether they matched a mail: matched, unmatched, ignored, repeat.",
    ),
    metric(
        LEADS,
        Kind::Counter,
        &["outcome"],
        "Records that came in: new, updated, unchanged, rejected.",
    ),
    metric(
        VERIFIED,
        Kind::Counter,
        &["outcome"],
        "Leads whose e-mail was looked at: valid, invalid, spam, unknown, later (the DNS is asked again).",
    ),
    metric(
        PARKED,
        Kind::Gauge,
        &[],
        "Notices whose partner has no address that can be reached.",
    ),
    metric(HELD, Kind::Gauge, &[], "Leads that wait for their partner to have an address."),
    metric(
        REJECTED,
        Kind::Gauge,
        &[],
        "Records that could not be taken in and that nobody has dealt with.",
    ),
    metric(
        KNOWN,
        Kind::Gauge,
        &[],
        "Leads that the portal's webhook named and that were not fetched yet.",
    ),
    metric(ITEMS, Kind::Gauge, &[], "Action items whose newest state waits to be posted."),
    metric(
        RELAY_OPEN,
        Kind::Gauge,
        &["relay"],
        "1 while a relay is left alone after a fault of its own, else 0; of this worker.",
    ),
    metric(
        RELAY_TROUBLES,
        Kind::Counter,
        &["relay", "what"],
        "Answers that speak against a relay: refused, unreached, troubled (421, 4xx before RCPT, a cut, a silence), recipient (put off or refused).",
    ),
    metric(
        RELAY_SENT,
        Kind::Gauge,
        &["relay"],
        "Mails that went today, in UTC, by a relay that has a limit; of all workers.",
    ),
    metric(WAITING, Kind::Gauge, &[], "Mails that wait for a relay or for the pace."),
    metric(
        TEMPLATES_REFUSED,
        Kind::Gauge,
        &[],
        "1 while the templates that have changed are wrong and older ones stay in force, else 0.",
    ),
    metric(
        ORPHANS,
        Kind::Gauge,
        &[],
        "What the last audit could account for nowhere; anything but 0 is a fault of posthorn.",
    ),
    metric(AUDITED, Kind::Gauge, &[], "When the last audit ended, in seconds since the epoch."),
    metric(
        REQUESTS,
        Kind::Counter,
        &["path", "status"],
        "Requests answered, by path and class of status.",
    ),
    metric(
        REQUEST_TIME,
        Kind::Histogram(REQUEST_SECONDS),
        &["path"],
        "How long a request took until its answer began.",
    ),
];

const OLDEST_DUE: &str = "posthorn_outbox_oldest_due_seconds";
const BACKLOG: &str = "posthorn_outbox_backlog";
const LEAD_TO_SENT: &str = "posthorn_lead_to_sent_seconds";
const DELIVERIES: &str = "posthorn_deliveries_total";
const BOUNCES: &str = "posthorn_bounces_total";
const LEADS: &str = "posthorn_leads_total";
const VERIFIED: &str = "posthorn_leads_verified_total";
const PARKED: &str = "posthorn_notices_parked";
const HELD: &str = "posthorn_leads_held";
const REJECTED: &str = "posthorn_records_rejected";
const KNOWN: &str = "posthorn_resources_not_fetched";
const ITEMS: &str = "posthorn_items_to_post";
const RELAY_OPEN: &str = "posthorn_relay_circuit_open";
const RELAY_TROUBLES: &str = "posthorn_relay_troubles_total";
const RELAY_SENT: &str = "posthorn_relay_sent_today";
const WAITING: &str = "posthorn_deliveries_waiting";
const TEMPLATES_REFUSED: &str = "posthorn_templates_refused";
const ORPHANS: &str = "posthorn_audit_orphans";
const AUDITED: &str = "posthorn_audit_timestamp_seconds";
const REQUESTS: &str = "posthorn_http_requests_total";
const REQUEST_TIME: &str = "posthorn_http_request_duration_seconds";

/// From a millisecond to hours: a lead is news for minutes.
const LEAD_TO_SENT_SECONDS: &[f64] = &[0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0];
const REQUEST_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// What this process has counted.
static SERIES: LazyLock<Series> = LazyLock::new(|| Series::of(METRICS));

/// The media type of [`render`].
pub const CONTENT_TYPE: &str = series::CONTENT_TYPE;

/// Renders the metrics of this process as text, in the exposition format that Prometheus reads.
pub fn render() -> String {
    SERIES.render()
}

/// What the database says when it is asked for metrics.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Age of the oldest mail that is due.
    pub oldest_due: Duration,
    /// Mails that wait, by kind.
    pub backlog: Vec<(String, i64)>,
    /// Notices without an address.
    pub n_parked: i64,
    /// Leads whose partner has no address.
    pub n_held: i64,
    /// Records that nobody has dealt with.
    pub n_rejected: i64,
    /// Leads that were not fetched.
    pub n_known: i64,
    /// Action items to be posted.
    pub n_items: i64,
    /// Mails that wait for a relay or for the pace.
    pub n_waiting: i64,
    /// Mails of today, by relay.
    pub sent_today: Vec<(String, i64)>,
}

/// Sets what the database says.
#[expect(clippy::cast_precision_loss, reason = "gauges are doubles; counts of rows stay far below 2^53")]
pub fn set_gauges(gauges: &Gauges) {
    SERIES.set(OLDEST_DUE, &[], gauges.oldest_due.as_secs_f64());
    for (kind, n) in &gauges.backlog {
        SERIES.set(BACKLOG, &[("kind", kind)], *n as f64);
    }
    for (name, n) in [
        (PARKED, gauges.n_parked),
        (HELD, gauges.n_held),
        (REJECTED, gauges.n_rejected),
        (KNOWN, gauges.n_known),
        (ITEMS, gauges.n_items),
        (WAITING, gauges.n_waiting),
    ] {
        SERIES.set(name, &[], n as f64);
    }
    for (relay, n) in &gauges.sent_today {
        SERIES.set(RELAY_SENT, &[("relay", relay)], *n as f64);
    }
}

/// Counts the records of a batch that was committed.
pub(super) fn records_taken_in(outcomes: &[(&'static str, u64)]) {
    for (outcome, n) in outcomes {
        SERIES.add(LEADS, &[("outcome", outcome)], *n);
    }
}

/// Counts leads whose e-mail was looked at.
pub(super) fn leads_verified(outcomes: &[(&'static str, u64)]) {
    for (outcome, n) in outcomes {
        SERIES.add(VERIFIED, &[("outcome", outcome)], *n);
    }
}

/// Counts an outcome of a mail that was committed.
pub(super) fn delivery_recorded(kind: &'static str, outcome: &'static str, since_arrival: Option<Duration>) {
    SERIES.add(DELIVERIES, &[("kind", kind), ("outcome", outcome)], 1);
    if let Some(waited) = since_arrival {
        SERIES.record(LEAD_TO_SENT, &[], waited);
    }
}

/// Counts a mail that came to where bounces go. Both labels are words of the core.
pub(super) fn bounce_taken_in(class: &str, state: &str) {
    SERIES.add(BOUNCES, &[("class", class), ("state", state)], 1);
}

/// Says whether a relay is left alone.
pub(super) fn relay_rests(relay: &str, is_resting: bool) {
    SERIES.set(RELAY_OPEN, &[("relay", relay)], f64::from(u8::from(is_resting)));
}

/// Notes whether the templates that were looked at last are in force.
pub(super) fn templates_reloaded(is_in_force: bool) {
    SERIES.set(TEMPLATES_REFUSED, &[], f64::from(u8::from(!is_in_force)));
}

/// Counts an answer that speaks against a relay.
pub fn relay_trouble(relay: &str, answer: &Answer) {
    let what = match answer {
        Answer::Served => return,
        Answer::Refused => "refused",
        Answer::Unreached => "unreached",
        Answer::Troubled => "troubled",
        Answer::TroubledFor(_) => "recipient",
    };
    SERIES.add(RELAY_TROUBLES, &[("relay", relay), ("what", what)], 1);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are doubles")]
pub(super) fn audited(n_orphans: i64, at: crate::time::Timestamp) {
    SERIES.set(ORPHANS, &[], n_orphans as f64);
    SERIES.set(AUDITED, &[], at.as_millis() as f64 / 1000.0);
}

pub(super) fn request_answered(path: &str, status: u16, took: Duration) {
    let class = match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    SERIES.add(REQUESTS, &[("path", path), ("status", class)], 1);
    SERIES.record(REQUEST_TIME, &[("path", path)], took);
}

/// Writes the reference page.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n`GET /metrics` answers these in Prometheus' text format, to a token with the scope `read` or `ops`.\n\
         Gauges are read from the database when they are asked for; their cost grows with what waits, not with what is stored.\n\n\
         | metric | kind | labels | what it tells |\n|---|---|---|---|\n",
    );
    for one in METRICS {
        let kind = one.kind.as_str();
        let labels: Vec<String> = one.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a text cannot fail.
        _ = writeln!(page, "| `{}` | {kind} | {} | {} |", one.name, labels.join(", "), one.help);
    }
    page
}
