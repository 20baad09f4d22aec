//! A status in Prometheus' text format 0.0.4.

use prometheus::{
    Encoder as _, TextEncoder,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Summary},
};

use super::{
    Status,
    catalogue::{self, Kind, METRICS, Sample},
};

pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Metrics that have no sample, because there is nothing of the kind, are left out.
pub fn render(status: &Status) -> Result<Vec<u8>, prometheus::Error> {
    let families: Vec<MetricFamily> = METRICS
        .iter()
        .map(|metric| family(metric, status))
        .filter(|family| !family.get_metric().is_empty())
        .collect();
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(text)
}

fn family(metric: &catalogue::Metric, status: &Status) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Summary => MetricType::SUMMARY,
    });
    let samples = (metric.samples)(status).into_iter();
    let samples = samples.map(|one| sample(metric, one));
    family.set_metric(samples.collect());
    family
}

fn sample(metric: &catalogue::Metric, sample: Sample) -> Metric {
    let Sample {
        labels,
        value,
        count,
    } = sample;
    let pair = |(name, value): (&&str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value);
        pair
    };
    let pairs = metric.labels.iter().zip(labels).map(pair);
    let mut made = Metric::from_label(pairs.collect());
    match metric.kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            made.set_counter(counter);
        }
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            made.set_gauge(gauge);
        }
        Kind::Summary => {
            let mut summary = Summary::default();
            summary.set_sample_sum(value);
            summary.set_sample_count(count);
            made.set_summary(summary);
        }
    }
    made
}
