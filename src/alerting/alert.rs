//! Defines the alert that rules pass to the dispatcher: the data that Prometheus posts to an Alertmanager.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Severity;
use crate::{query::Labels, runtime::unix_ms::shift_ms};

/// An alert of one label set, firing or resolved.
///
/// Times are milliseconds since the Unix epoch, as in the `PromQL` API.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// The labels that identify the alert, `alertname` included.
    pub labels: Labels,
    /// The annotations, such as `summary` and `description`.
    pub annotations: BTreeMap<String, String>,
    /// The time at which the alert began to fire.
    pub starts_at: i64,
    /// The time at which the alert was resolved. For a firing alert: the time at which the alert counts as resolved
    /// unless its rule sends it again.
    pub ends_at: i64,
    /// The URL of the alert's expression.
    pub generator_url: String,
    /// The last value of the alert's expression; `None` for an alert without an expression.
    pub value: Option<f64>,
}

impl Alert {
    /// Creates an alert that fires from `starts_at` until its end is reported.
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

    /// Returns the label `alertname`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get("alertname").unwrap_or_default()
    }

    /// Returns the label `severity`; `None` if its value is not a known severity.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.labels.get("severity")?.parse().ok()
    }

    /// Returns whether the alert is resolved at `now`.
    #[must_use]
    pub fn is_resolved_at(&self, now: i64) -> bool {
        self.ends_at <= now
    }

    /// Returns whether the application raised the alert: the alerts of rules have the URL of their expression.
    pub(crate) fn is_raised(&self) -> bool {
        self.generator_url.is_empty()
    }

    /// Moves the alert by a step of the wall clock.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        shift_ms(&mut self.starts_at, by_ms);
        shift_ms(&mut self.ends_at, by_ms);
    }

    /// Serializes the alert for the store.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Maps with texts as keys and finite numbers always serialize.
        serde_json::to_vec(&StoredAlert::from(self)).unwrap_or_default()
    }

    /// Parses an alert of the store.
    pub(crate) fn from_json(bytes: &[u8]) -> Option<Self> {
        let stored: StoredAlert = serde_json::from_slice(bytes).ok()?;
        Some(stored.into())
    }

    /// Returns the hash of the label set: the 64-bit FNV-1a of Prometheus's `LabelSet.Fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.labels)
    }
}

/// Hashes a label set as Prometheus and Alertmanager do; the hash is the same in all processes and versions.
pub(crate) fn fingerprint(labels: &Labels) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    /// This byte does not occur in valid UTF-8.
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

/// Copies labels into a map of owned text.
pub(crate) fn label_map(labels: &Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|label| (label.name().to_owned(), label.value().to_owned()))
        .collect()
}

/// The form of an alert in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredAlert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: i64,
    ends_at: i64,
    generator_url: String,
    /// JSON has no NaN and no infinity: both are stored as `null`.
    value: Option<f64>,
}

impl From<&Alert> for StoredAlert {
    fn from(alert: &Alert) -> Self {
        Self {
            labels: label_map(&alert.labels),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            generator_url: alert.generator_url.clone(),
            value: alert.value.filter(|value| value.is_finite()),
        }
    }
}

impl From<StoredAlert> for Alert {
    fn from(stored: StoredAlert) -> Self {
        let mut alert = Self::new(Labels::from_pairs(stored.labels), stored.starts_at);
        alert.annotations = stored.annotations;
        alert.ends_at = stored.ends_at;
        alert.generator_url = stored.generator_url;
        alert.value = stored.value;
        alert
    }
}

/// Serializes a fingerprint as 16 hexadecimal digits, as Alertmanager does: a JavaScript number cannot hold 64 bits.
/// Reads numbers, too, as earlier versions have stored them. For `#[serde(with = "hex")]`.
pub(crate) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Number(u64),
        Text(String),
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of serde")]
    pub(crate) fn serialize<S: Serializer>(
        fingerprint: &u64,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{fingerprint:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match Stored::deserialize(deserializer)? {
            Stored::Number(fingerprint) => Ok(fingerprint),
            Stored::Text(text) => u64::from_str_radix(&text, 16).map_err(D::Error::custom),
        }
    }
}

/// Serializes a set of fingerprints like [`hex`].
pub(crate) mod hex_set {
    use std::collections::BTreeSet;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Fingerprint(#[serde(with = "super::hex")] u64);

    pub(crate) fn serialize<S: Serializer>(
        set: &BTreeSet<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(set.iter().copied().map(Fingerprint))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<u64>, D::Error> {
        let set = BTreeSet::<Fingerprint>::deserialize(deserializer)?;
        Ok(set.into_iter().map(|fingerprint| fingerprint.0).collect())
    }
}

/// Serializes a shared alert; for `#[serde(with = "shared")]`.
pub(crate) mod shared {
    use serde::{Deserializer, Serializer};

    use super::{Alert, Arc, Deserialize, Serialize, StoredAlert};

    pub(crate) fn serialize<S: Serializer>(
        alert: &Arc<Alert>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        StoredAlert::from(&**alert).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Alert>, D::Error> {
        StoredAlert::deserialize(deserializer).map(|stored| Arc::new(stored.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_texts_in_json_and_stored_numbers_are_read() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Record {
            #[serde(with = "hex")]
            one: u64,
            #[serde(with = "hex_set")]
            all: std::collections::BTreeSet<u64>,
        }
        let record = Record {
            one: u64::MAX,
            all: [1, 2].into(),
        };
        let text = r#"{"one":"ffffffffffffffff","all":["0000000000000001","0000000000000002"]}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert_eq!(serde_json::from_str::<Record>(text).unwrap(), record);
        let stored = r#"{"one":18446744073709551615,"all":[1,2]}"#;
        assert_eq!(serde_json::from_str::<Record>(stored).unwrap(), record);
        assert!(serde_json::from_str::<Record>(r#"{"one":"x","all":[]}"#).is_err());
    }

    #[test]
    fn the_fingerprint_equals_alertmanagers() {
        // The hashes are from a webhook message of Alertmanager 0.25.
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
