//! What a span is, by its name or by the fields it declares.

use std::collections::BTreeMap;

/// What a span observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Inference,
    ModelLoad,
    ModelUnload,
    HttpRequest,
    Cache,
    Database,
    Queue,
    Routing,
    Connection,
}

const NAMES: &[(&str, Kind)] = &[
    ("inference", Kind::Inference),
    ("model_inference", Kind::Inference),
    ("model_load", Kind::ModelLoad),
    ("load_model", Kind::ModelLoad),
    ("model_unload", Kind::ModelUnload),
    ("unload_model", Kind::ModelUnload),
    ("http_request", Kind::HttpRequest),
    ("grpc_request", Kind::HttpRequest),
    ("cache", Kind::Cache),
    ("db_query", Kind::Database),
    ("database-query", Kind::Database),
    ("queue", Kind::Queue),
    ("route_selection", Kind::Routing),
    ("connection", Kind::Connection),
];

/// Fields of the semantic conventions that tell what a span is, whatever its name.
const BY_FIELD: &[(&str, Kind)] = &[
    ("gen_ai.operation.name", Kind::Inference),
    ("http.request.method", Kind::HttpRequest),
    ("db.operation.name", Kind::Database),
];

impl Kind {
    /// The kind that a span's name, or the value of `observatory.kind`, says. `renamed` maps names of the
    /// application's to names of the table.
    pub(crate) fn named(name: &str, renamed: &BTreeMap<String, String>) -> Option<Self> {
        let name = renamed.get(name).map_or(name, String::as_str);
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }

    /// The kind that a declared field says.
    pub(crate) fn of_field(name: &str) -> Option<Self> {
        BY_FIELD
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }

    /// Whether the table has this name; for the check of a configured mapping.
    pub(crate) fn is_known(name: &str) -> bool {
        NAMES.iter().any(|(known, _)| *known == name)
    }
}
