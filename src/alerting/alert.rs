//! An alert as the rules hand it to the router: what Prometheus posts to an Alertmanager.

use std::collections::BTreeMap;

use super::Severity;
use crate::query::Labels;

/// One label set that is wrong, or was.
///
/// Times are milliseconds since the Unix epoch, as everywhere around `PromQL`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// What identifies it, `alertname` included.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
    /// When it began to fire.
    pub starts_at: i64,
    /// When it was over. Of one that fires: until when it holds good if nobody says so again.
    pub ends_at: i64,
    /// Where its expression can be looked at.
    pub generator_url: String,
    /// The value that its expression had last; `None` where it has no expression.
    pub value: Option<f64>,
}

impl Alert {
    /// An alert that fires from `starts_at` until somebody says otherwise.
    #[must_use]
    pub fn new(labels: Labels, starts_at: i64) -> Self {
        Self {
            labels,
            annotations: BTreeMap::new(),
            starts_at,
            ends_at: i64::MAX,
            generator_url: String::new(),
            value: None,
        }
    }

    /// The label `alertname`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get("alertname").unwrap_or_default()
    }

    /// The label `severity`, where it names one.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.labels.get("severity")?.parse().ok()
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_resolved_at(&self, now: i64) -> bool {
        self.ends_at <= now
    }

    /// Identifies the label set: the 64-bit FNV-1a of Prometheus's `LabelSet.Fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.labels)
    }
}

/// Identifies a label set across processes and versions: what Prometheus and Alertmanager call its fingerprint.
pub(crate) fn fingerprint(labels: &Labels) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    /// No valid UTF-8 has it.
    const SEPARATOR: [u8; 1] = [0xff];
    let mut hash = OFFSET;
    for label in labels.iter() {
        for bytes in [
            label.name().as_bytes(),
            &SEPARATOR,
            label.value().as_bytes(),
            &SEPARATOR,
        ] {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
            }
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_alertmanagers() {
        // From a message of Alertmanager 0.25.
        let labels = |model: &str| {
            Labels::from_pairs([
                ("alertname", "HighErrorRate"),
                ("component", "router"),
                ("model_id", model),
                ("severity", "critical"),
            ])
        };
        assert_eq!(fingerprint(&labels("gpt-3.5-turbo")), 0xda88_a38f_0bea_a1b4);
        assert_eq!(fingerprint(&labels("llama-7b")), 0x75b4_f220_281f_30d4);
    }
}
