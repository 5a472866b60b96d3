//! The resource attributes of the service, which are the same in metrics, traces and log records.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{config::ServiceConfig, metrics::exposition::ResourceAttributes};

/// Returns the attributes of the resource. The fields of `service` take precedence over its further attributes.
///
/// `service.instance.id` distinguishes two processes of one service; receivers turn it into the label `instance`. It is
/// a random UUID at each start, as OpenTelemetry's conventions recommend, unless the configuration sets it.
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
    fn the_fields_of_the_service_take_precedence_over_its_attributes() {
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

    #[test]
    fn the_instance_id_is_a_random_uuid_of_version_4() {
        let all = attributes(&Config::default().service);
        let id = of(&all, "service.instance.id").unwrap();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
        assert!(id[14..].starts_with('4'), "{id}");
        assert!(id[19..].starts_with(['8', '9', 'a', 'b']), "{id}");
    }
}
