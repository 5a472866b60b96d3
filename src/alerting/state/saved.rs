//! Alerts as plain data, for whoever keeps them across a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AlertState;

/// The alerts of all rules at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedState {
    /// When they were saved, in milliseconds since the epoch.
    pub saved_at: i64,
    /// The alerts, those that are over and still told included.
    pub alerts: Vec<SavedAlert>,
}

/// One alert at one moment; times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedAlert {
    /// The group of its rule.
    pub group: String,
    /// The id of its rule.
    pub rule: String,
    /// The labels of its rule as they are written: two rules may have one id.
    pub rule_labels: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What was said about it last.
    pub annotations: BTreeMap<String, String>,
    /// Where it stood.
    pub state: AlertState,
    /// When it was first met.
    pub active_at: i64,
    /// When it began to fire.
    pub fired_at: Option<i64>,
    /// When it was over.
    pub resolved_at: Option<i64>,
    /// Since when it fires though it is not met.
    pub keep_firing_since: Option<i64>,
    /// The value that its expression had last.
    #[serde(with = "value")]
    pub value: Option<f64>,
}

/// Values as texts: JSON has no NaN and no infinity.
mod value {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_some(&value.to_string()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}
