//! metrics-exporter-prometheus.

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{BUCKETS, Kind, LABELS, Subject, label_values, value};

pub(super) struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    kind: Kind,
}

impl Exporter {
    pub(super) fn new(kind: Kind) -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .expect("there are buckets")
            .build_recorder();
        Self {
            handle: recorder.handle(),
            recorder,
            kind,
        }
    }
}

impl Subject for Exporter {
    fn touch(&self, number: usize) {
        touch(&self.recorder, self.kind, number);
    }

    /// Drains the stored samples of histograms.
    fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn render(&self) -> String {
        self.handle.render()
    }
}

/// Records into series `number` of any `metrics` recorder.
pub(super) fn touch(recorder: &dyn Recorder, kind: Kind, number: usize) {
    static METADATA: Metadata<'static> = Metadata::new("render", Level::INFO, None);
    let labels: Vec<Label> = LABELS
        .into_iter()
        .zip(label_values(number))
        .map(|(key, value)| Label::new(key, value))
        .collect();
    match kind {
        Kind::Counter => {
            let key = Key::from_parts("inference_total", labels);
            recorder.register_counter(&key, &METADATA).increment(1);
        }
        Kind::Histogram => {
            let key = Key::from_parts("duration", labels);
            recorder
                .register_histogram(&key, &METADATA)
                .record(value(number));
        }
    }
}
