//! The observed service: the attributes that identify it in metrics, traces and log records.

use std::collections::BTreeMap;

use crate::settings::{Invalid, Variable, pairs};

/// The observed service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// `service.name`. Default: `llm-router`.
    pub name: String,
    /// `service.version`. Default: none.
    pub version: Option<String>,
    /// `deployment.environment.name`: the preset's name. Default: none.
    pub environment: Option<String>,
    /// Further attributes of the resource. Default: none.
    pub attributes: BTreeMap<String, String>,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            name: "llm-router".to_owned(),
            version: None,
            environment: None,
            attributes: BTreeMap::new(),
        }
    }
}

/// The variables of OpenTelemetry's specification that describe the service. Later rows take precedence.
pub(super) const VARIABLES: &[Variable<ServiceConfig>] = &[
    Variable::new("OTEL_RESOURCE_ATTRIBUTES", resource_attributes),
    Variable::new("OTEL_SERVICE_NAME", |service, value| {
        value.clone_into(&mut service.name);
        Ok(())
    }),
];

/// Applies `key=value` pairs. The specification: on any error, the whole value is discarded.
fn resource_attributes(service: &mut ServiceConfig, text: &str) -> Result<(), Invalid> {
    for (key, value) in pairs(text).ok_or("`key=value` pairs separated by commas")? {
        match key.as_str() {
            "service.name" => service.name = value,
            "service.version" => service.version = Some(value),
            "deployment.environment.name" => service.environment = Some(value),
            _ => drop(service.attributes.insert(key, value)),
        }
    }
    Ok(())
}
