//! The series behind the metrics: counters, gauges and histograms by name and labels.
//!
//! In: facts, from any thread. Out: one text, in Prometheus' format (version 0.0.4).
//!
//! **Invariant:** bounded, as names and labels are ([`crate::telemetry::metrics`]).

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::telemetry::metrics::{Kind, Metric};

pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

type Labels = Vec<(&'static str, String)>;

/// All series of a process.
#[derive(Debug)]
pub(super) struct Series {
    registry: Registry,
    counters: BTreeMap<&'static str, Family<Labels, Counter>>,
    gauges: BTreeMap<&'static str, Family<Labels, Gauge<f64, AtomicU64>>>,
    histograms: BTreeMap<&'static str, Family<Labels, Histogram, Buckets>>,
}

/// Makes histograms with these upper bounds, in seconds.
#[derive(Clone, Debug)]
struct Buckets(&'static [f64]);

impl prometheus_client::metrics::family::MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Series {
    /// Makes them, without a value yet.
    pub(super) fn of(metrics: &'static [Metric]) -> Self {
        let mut series = Self {
            registry: Registry::default(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeMap::new(),
        };
        for metric in metrics {
            // The library ends each help with a full stop, and each counter's name with `_total`.
            let help = metric.help.trim_end_matches('.');
            let name = metric.name.trim_end_matches("_total");
            match metric.kind {
                Kind::Counter => {
                    let family = series.counters.entry(metric.name).or_default();
                    series.registry.register(name, help, family.clone());
                }
                Kind::Gauge => {
                    let family = series.gauges.entry(metric.name).or_default();
                    series.registry.register(name, help, family.clone());
                }
                Kind::Histogram(bounds) => {
                    let family = Family::new_with_constructor(Buckets(bounds));
                    series.registry.register(name, help, family.clone());
                    series.histograms.insert(metric.name, family);
                }
            }
        }
        series
    }

    /// Raises a counter.
    pub(super) fn add(&self, name: &str, labels: &[(&'static str, &str)], n: u64) {
        self.counters[name].get_or_create(&owned(labels)).inc_by(n);
    }

    /// Sets a gauge.
    pub(super) fn set(&self, name: &str, labels: &[(&'static str, &str)], to: f64) {
        self.gauges[name].get_or_create(&owned(labels)).set(to);
    }

    /// Takes a span of time into a histogram.
    pub(super) fn record(&self, name: &str, labels: &[(&'static str, &str)], took: Duration) {
        self.histograms[name].get_or_create(&owned(labels)).observe(took.as_secs_f64());
    }

    /// Returns all of them, each metric with its help and kind; those that nothing has moved yet are left out.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("writing to a text cannot fail");
        text
    }
}

fn owned(labels: &[(&'static str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &[Metric] = &[
        Metric {
            name: "mails_total",
            kind: Kind::Counter,
            labels: &["relay"],
            help: "Mails.",
        },
        Metric {
            name: "backlog",
            kind: Kind::Gauge,
            labels: &[],
            help: "What waits.",
        },
        Metric {
            name: "took_seconds",
            kind: Kind::Histogram(&[0.05, 1.0]),
            labels: &["path"],
            help: "How long.",
        },
        Metric {
            name: "never_total",
            kind: Kind::Counter,
            labels: &[],
            help: "Nothing.",
        },
    ];

    /// A value on a bound belongs to it; each bucket holds what the ones before it hold; labels cannot break the format.
    #[test]
    fn series_are_written_as_prometheus_reads_them() {
        let series = Series::of(METRICS);
        series.add("mails_total", &[("relay", "a\"b\\c\nd")], 2);
        series.add("mails_total", &[("relay", "a\"b\\c\nd")], 3);
        series.set("backlog", &[], 7.0);
        series.set("backlog", &[], 1.5);
        for ms in [10, 50, 51, 9000] {
            series.record("took_seconds", &[("path", "/v1")], Duration::from_millis(ms));
        }
        insta::assert_snapshot!(series.render(), @r#"
        # HELP mails_total Mails.
        # TYPE mails_total counter
        mails_total{relay="a\"b\\c\nd"} 5
        # HELP backlog What waits.
        # TYPE backlog gauge
        backlog 1.5
        # HELP took_seconds How long.
        # TYPE took_seconds histogram
        took_seconds_bucket{path="/v1",le="0.05"} 2
        took_seconds_bucket{path="/v1",le="1"} 3
        took_seconds_bucket{path="/v1",le="+Inf"} 4
        took_seconds_sum{path="/v1"} 9.111
        took_seconds_count{path="/v1"} 4
        "#);
    }
}
