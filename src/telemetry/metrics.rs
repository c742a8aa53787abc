//! What `/metrics` tells (Prometheus). It begins with the questions: is anything late, what waits, what came of it, does somebody have to look.
//!
//! **Invariants:** a metric is moved by the function that writes its fact's log line, or set from the database when it is asked for; labels are few and
//! bounded, and never a lead, a partner or an address. [`METRICS`] is the whole list, from which the help and the reference page are made.

use std::fmt::Write;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::outbox::circuit::Answer;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up only.
    Counter,
    /// Is what it is.
    Gauge,
    /// A distribution.
    Histogram,
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
        Kind::Histogram,
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
        Kind::Histogram,
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
const PARKED: &str = "posthorn_notices_parked";
const HELD: &str = "posthorn_leads_held";
const REJECTED: &str = "posthorn_records_rejected";
const KNOWN: &str = "posthorn_resources_not_fetched";
const ITEMS: &str = "posthorn_items_to_post";
const RELAY_OPEN: &str = "posthorn_relay_circuit_open";
const RELAY_TROUBLES: &str = "posthorn_relay_troubles_total";
const RELAY_SENT: &str = "posthorn_relay_sent_today";
const WAITING: &str = "posthorn_deliveries_waiting";
const ORPHANS: &str = "posthorn_audit_orphans";
const AUDITED: &str = "posthorn_audit_timestamp_seconds";
const REQUESTS: &str = "posthorn_http_requests_total";
const REQUEST_TIME: &str = "posthorn_http_request_duration_seconds";

/// From a millisecond to hours: a lead is news for minutes.
const LEAD_TO_SENT_SECONDS: &[f64] = &[0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0];
const REQUEST_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Renders the metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Begins to count; until then counting costs nothing and tells nothing.
    ///
    /// # Errors
    /// It was begun already.
    pub fn start() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(LEAD_TO_SENT.to_owned()), LEAD_TO_SENT_SECONDS)?
            .set_buckets_for_metric(Matcher::Full(REQUEST_TIME.to_owned()), REQUEST_SECONDS)?;
        let handle = builder.install_recorder()?;
        for one in METRICS {
            match one.kind {
                Kind::Counter => metrics::describe_counter!(one.name, one.help),
                Kind::Gauge => metrics::describe_gauge!(one.name, one.help),
                Kind::Histogram => metrics::describe_histogram!(one.name, one.help),
            }
        }
        Ok(Self(handle))
    }

    /// Returns them as text, in the exposition format that Prometheus reads.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
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
    gauge!(OLDEST_DUE).set(gauges.oldest_due.as_secs_f64());
    for (kind, n) in &gauges.backlog {
        gauge!(BACKLOG, "kind" => kind.clone()).set(*n as f64);
    }
    for (name, n) in [
        (PARKED, gauges.n_parked),
        (HELD, gauges.n_held),
        (REJECTED, gauges.n_rejected),
        (KNOWN, gauges.n_known),
        (ITEMS, gauges.n_items),
        (WAITING, gauges.n_waiting),
    ] {
        gauge!(name).set(n as f64);
    }
    for (relay, n) in &gauges.sent_today {
        gauge!(RELAY_SENT, "relay" => relay.clone()).set(*n as f64);
    }
}

/// Counts the records of a batch that was committed.
pub(super) fn records_taken_in(outcomes: &[(&'static str, u64)]) {
    for (outcome, n) in outcomes {
        counter!(LEADS, "outcome" => *outcome).increment(*n);
    }
}

/// Counts an outcome of a mail that was committed.
pub(super) fn delivery_recorded(kind: &'static str, outcome: &'static str, since_arrival: Option<Duration>) {
    counter!(DELIVERIES, "kind" => kind, "outcome" => outcome).increment(1);
    if let Some(waited) = since_arrival {
        histogram!(LEAD_TO_SENT).record(waited);
    }
}

/// Counts a mail that came to where bounces go. Both labels are words of the core.
pub(super) fn bounce_taken_in(class: &str, state: &str) {
    counter!(BOUNCES, "class" => class.to_owned(), "state" => state.to_owned()).increment(1);
}

/// Says whether a relay is left alone.
pub(super) fn relay_rests(relay: &str, is_resting: bool) {
    gauge!(RELAY_OPEN, "relay" => relay.to_owned()).set(f64::from(u8::from(is_resting)));
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
    counter!(RELAY_TROUBLES, "relay" => relay.to_owned(), "what" => what).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are doubles")]
pub(super) fn audited(n_orphans: i64, at: crate::time::Timestamp) {
    gauge!(ORPHANS).set(n_orphans as f64);
    gauge!(AUDITED).set(at.as_millis() as f64 / 1000.0);
}

pub(super) fn request_answered(path: &str, status: u16, took: Duration) {
    let class = match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    counter!(REQUESTS, "path" => path.to_owned(), "status" => class).increment(1);
    histogram!(REQUEST_TIME, "path" => path.to_owned()).record(took);
}

/// Writes the reference page.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n`GET /metrics` answers these in Prometheus' text format, to a token with the scope `read` or `ops`.\n\
         Gauges are read from the database when they are asked for; their cost grows with what waits, not with what is stored.\n\n\
         | metric | kind | labels | what it tells |\n|---|---|---|---|\n",
    );
    for one in METRICS {
        let kind = match one.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = one.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a text cannot fail.
        _ = writeln!(page, "| `{}` | {kind} | {} | {} |", one.name, labels.join(", "), one.help);
    }
    page
}
