//! Defines the serialized states of alerts, which outlive a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AlertState;

/// The alerts of all rules at a point in time; times are times of the wall clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedRuleAlerts {
    /// Time of the save, in milliseconds since the epoch.
    pub(crate) saved_at: i64,
    /// The alerts, including resolved alerts that are still sent.
    pub(crate) alerts: Vec<SavedRuleAlert>,
}

/// The state of an alert; times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedRuleAlert {
    /// Name of the rule's group.
    pub(crate) group: String,
    /// Id of the rule.
    pub(crate) rule: String,
    /// Labels of the rule's definition, because two rules may have the same id.
    pub(crate) rule_labels: BTreeMap<String, String>,
    /// Labels of the alert.
    pub(crate) labels: BTreeMap<String, String>,
    /// Last annotations of the alert.
    pub(crate) annotations: BTreeMap<String, String>,
    /// State of the alert.
    pub(crate) state: AlertState,
    /// Time at which the condition was first met.
    pub(crate) active_at: i64,
    /// Time at which the alert started to fire.
    pub(crate) fired_at: Option<i64>,
    /// Time at which the alert was resolved.
    pub(crate) resolved_at: Option<i64>,
    /// Time since which the alert fires although its condition is not met.
    pub(crate) keep_firing_since: Option<i64>,
    /// Last value of the expression.
    #[serde(with = "value")]
    pub(crate) value: Option<f64>,
}

/// Serializes values as text, because JSON has neither NaN nor infinity.
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
