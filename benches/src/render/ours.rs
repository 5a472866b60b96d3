//! Our registry, as the application's `metrics` recorder.

use llm_observatory::{BucketsFor, Format, Registry, RegistryOptions};
use metrics::Recorder;

use super::{BUCKETS, Kind, SERIES, Subject, exporter};

pub(super) struct Ours {
    registry: Registry,
    kind: Kind,
}

impl Ours {
    pub(super) fn new(kind: Kind) -> Self {
        let mut options = RegistryOptions::default();
        options.series_limit = SERIES;
        options.buckets = vec![(BucketsFor::Prefix(String::new()), BUCKETS.to_vec())];
        Self {
            registry: Registry::new(options).expect("the buckets ascend"),
            kind,
        }
    }
}

impl Subject for Ours {
    fn touch(&self, number: usize) {
        exporter::touch(&self.registry as &dyn Recorder, self.kind, number);
    }

    fn render(&self) -> String {
        self.registry.render(Format::Prometheus)
    }
}
