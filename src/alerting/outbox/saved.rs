//! The form in which an alert is written down.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{alerting::Alert, query::Labels};

/// An alert as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedAlert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: i64,
    ends_at: i64,
    generator_url: String,
    /// JSON has no NaN and no infinity: those are written as nothing.
    value: Option<f64>,
}

impl From<&Alert> for SavedAlert {
    fn from(alert: &Alert) -> Self {
        Self {
            labels: pairs(&alert.labels),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            generator_url: alert.generator_url.clone(),
            value: alert.value.filter(|value| value.is_finite()),
        }
    }
}

impl From<SavedAlert> for Alert {
    fn from(saved: SavedAlert) -> Self {
        let mut alert = Self::new(Labels::from_pairs(saved.labels), saved.starts_at);
        alert.annotations = saved.annotations;
        alert.ends_at = saved.ends_at;
        alert.generator_url = saved.generator_url;
        alert.value = saved.value;
        alert
    }
}

/// Labels as owned text.
pub(crate) fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|label| (label.name().to_owned(), label.value().to_owned()))
        .collect()
}

/// For `#[serde(with)]` on a shared alert.
pub(crate) mod shared {
    use serde::{Deserializer, Serializer};

    use super::{Alert, Arc, Deserialize, SavedAlert, Serialize};

    pub(crate) fn serialize<S: Serializer>(alert: &Arc<Alert>, to: S) -> Result<S::Ok, S::Error> {
        SavedAlert::from(&**alert).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Alert>, D::Error> {
        SavedAlert::deserialize(from).map(|saved| Arc::new(saved.into()))
    }
}
