//! Writes JSON in the shape of `prom2json`.

use std::{collections::BTreeMap, ops::ControlFlow};

use serde::Serialize;

use super::{Chunks, Moment, number::write_f64, shown};
use crate::metrics::registry::{Family, Histogram, LabelSet, Registry, Tables};

#[derive(Serialize)]
struct FamilyJson<'f> {
    name: &'f str,
    help: &'f str,
    #[serde(rename = "type")]
    kind: &'static str,
    metrics: Vec<MetricJson>,
}

#[derive(Serialize)]
struct MetricJson {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(flatten)]
    value: ValueJson,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueJson {
    Single {
        value: String,
    },
    Histogram {
        buckets: BTreeMap<String, String>,
        count: String,
        sum: String,
    },
}

/// Writes an array of families.
pub(super) fn write(registry: &Registry, moment: &Moment, out: &mut Chunks<'_>) -> ControlFlow<()> {
    let mut separator = "[\n";
    for family in registry.families() {
        let about = family.about();
        let metrics = metrics(registry, &family, moment);
        if metrics.is_empty() {
            continue;
        }
        let help = about.help.as_deref().unwrap_or_default();
        let family = FamilyJson {
            name: &family.name,
            help,
            kind: family.kind().as_str(),
            metrics,
        };
        out.text()
            .push_str(std::mem::replace(&mut separator, ",\n"));
        // The serialization of strings and maps cannot fail.
        out.text()
            .push_str(&serde_json::to_string(&family).unwrap_or_default());
        out.pass()?;
    }
    out.text().push_str("\n]\n");
    ControlFlow::Continue(())
}

fn metrics(registry: &Registry, family: &Family, moment: &Moment) -> Vec<MetricJson> {
    let metric = |labels: &LabelSet, value| MetricJson {
        labels: labels
            .pairs()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        value,
    };
    let single = |value| ValueJson::Single {
        value: number(value),
    };
    match &family.series {
        Tables::Counter(table) => {
            let sorted = table.sorted();
            shown(registry, &sorted, moment)
                .map(|series| metric(&series.labels, single(series.value().as_f64())))
                .collect()
        }
        Tables::Gauge(table) => {
            let sorted = table.sorted();
            shown(registry, &sorted, moment)
                .map(|series| metric(&series.labels, single(series.value())))
                .collect()
        }
        Tables::Histogram(table, ..) => {
            let sorted = table.sorted();
            shown(registry, &sorted, moment)
                .map(|series| metric(&series.labels, histogram(series)))
                .collect()
        }
    }
}

fn histogram(series: &Histogram) -> ValueJson {
    let mut count = 0_u64;
    let mut buckets = BTreeMap::new();
    for (bucket, observations) in series.buckets().enumerate() {
        count = count.wrapping_add(observations);
        let le = series
            .bounds()
            .le()
            .get(bucket)
            .map_or("+Inf", String::as_str);
        buckets.insert(le.to_owned(), count.to_string());
    }
    ValueJson::Histogram {
        buckets,
        count: count.to_string(),
        sum: number(series.sum()),
    }
}

fn number(value: f64) -> String {
    let mut text = String::new();
    write_f64(&mut text, value);
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Format, to_string};
    use super::*;
    use crate::metrics::{catalog, registry::RegistryOptions};

    #[test]
    fn every_family_reads_back_with_its_numbers() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        registry
            .counter(
                &catalog::INFERENCES,
                &[("model_id", "a\"b"), ("status", "success")],
            )
            .add(3);
        registry
            .histogram(&catalog::INFERENCE_DURATION, &[])
            .record(0.02);
        let json: serde_json::Value =
            serde_json::from_str(&to_string(&registry, Format::Json, &Moment::default())).unwrap();
        let family = |name: &str| {
            json.as_array()
                .unwrap()
                .iter()
                .find(|family| family["name"] == name)
                .unwrap()
                .clone()
        };
        let inferences = family("llm_router_model_inference_total");
        assert_eq!(inferences["metrics"][0]["labels"]["model_id"], "a\"b");
        assert_eq!(inferences["metrics"][0]["value"], "3");
        let durations = family("llm_router_model_inference_duration_seconds");
        assert_eq!(durations["metrics"][0]["buckets"]["0.05"], "1");
        assert_eq!(durations["metrics"][0]["buckets"]["0.01"], "0");
        assert_eq!(durations["metrics"][0]["count"], "1");
    }
}
