//! prometheus-client.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{BUCKETS, Kind, Subject, label_values, value};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    model_id: String,
    model_type: String,
    engine: String,
    status: String,
}

fn labels(number: usize) -> Labels {
    let [model_id, model_type, engine, status] = label_values(number);
    Labels {
        model_id,
        model_type,
        engine,
        status,
    }
}

struct Counters(Family<Labels, Counter>, Registry);

impl Subject for Counters {
    fn touch(&self, number: usize) {
        self.0.get_or_create(&labels(number)).inc();
    }

    fn render(&self) -> String {
        encode(&self.1)
    }
}

struct Histograms(Family<Labels, Histogram, fn() -> Histogram>, Registry);

impl Subject for Histograms {
    fn touch(&self, number: usize) {
        self.0.get_or_create(&labels(number)).observe(value(number));
    }

    fn render(&self) -> String {
        encode(&self.1)
    }
}

pub(super) fn subject(kind: Kind) -> Box<dyn Subject> {
    let mut registry = Registry::default();
    match kind {
        Kind::Counter => {
            let family = Family::default();
            registry.register("inference", "help", family.clone());
            Box::new(Counters(family, registry))
        }
        Kind::Histogram => {
            let new: fn() -> Histogram = || Histogram::new(BUCKETS);
            let family = Family::new_with_constructor(new);
            registry.register("duration", "help", family.clone());
            Box::new(Histograms(family, registry))
        }
    }
}

fn encode(registry: &Registry) -> String {
    let mut out = String::new();
    text::encode(&mut out, registry).expect("a string takes everything");
    out
}
