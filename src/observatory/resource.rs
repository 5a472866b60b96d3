//! Builds the resource attributes that metrics, traces and log records of the service share.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{config::ServiceConfig, metrics::exposition::ResourceAttributes};

/// Returns the configured attributes of the service. The name, version and environment of `service` override
/// attributes with the same keys.
///
/// `service.instance.id` distinguishes the processes of a service; Prometheus makes the label `instance` of it. The
/// id is a new random UUID (version 4 of RFC 9562) at each start, as OpenTelemetry's conventions recommend, unless the
/// configuration has an id.
pub(crate) fn attributes(service: &ServiceConfig) -> ResourceAttributes {
    let ours = [
        ("telemetry.distro.name", env!("CARGO_PKG_NAME")),
        ("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
    ];
    let named = [
        ("service.name", Some(&service.name)),
        ("service.version", service.version.as_ref()),
        ("deployment.environment.name", service.environment.as_ref()),
    ];
    let named = named
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.clone())));
    let mut all: BTreeMap<String, String> = ours
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    all.insert("service.instance.id".to_owned(), Uuid::new_v4().to_string());
    all.extend(service.attributes.clone());
    all.extend(named);
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn of(attributes: &[(String, String)], key: &str) -> Option<String> {
        let found = attributes.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.clone())
    }

    #[test]
    fn service_settings_override_attributes_with_the_same_key() {
        let mut service = Config::default().service;
        service.name = "router".to_owned();
        service.attributes = [("service.name", "other"), ("k8s.pod.name", "router-0")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let all = attributes(&service);
        assert_eq!(of(&all, "service.name").unwrap(), "router");
        assert_eq!(of(&all, "k8s.pod.name").unwrap(), "router-0");
        assert_eq!(of(&all, "service.version"), None);
        let drawn = |all: &[_]| of(all, "service.instance.id").unwrap();
        assert_ne!(drawn(&all), drawn(&attributes(&service)));
        let own = ("service.instance.id".to_owned(), "a".to_owned());
        service.attributes.extend([own]);
        assert_eq!(drawn(&attributes(&service)), "a");
    }
}
