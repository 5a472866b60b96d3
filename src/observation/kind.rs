//! Defines the kinds of observation, and the span names and attributes that mark each kind.

use std::collections::BTreeMap;

/// The table of kinds: calls `$define!` with a row for each kind of observation.
///
/// A row holds, in this order:
///
/// - the variant of [`Kind`];
/// - its name: the label `kind` of `observatory_observations_total`, and the component that a failure counts for;
/// - the names of its spans; the observatory probes the first name to find filters that hide these spans;
/// - the attributes of the semantic conventions that mark such a span, whatever its name.
macro_rules! kinds {
    ($define:ident) => {
        $define! {
            /// A call of a model.
            Inference = "inference", spans ["inference" "model_inference"], attributes ["gen_ai.operation.name"];
            /// The loading of a model.
            ModelLoad = "model_load", spans ["model_load" "load_model"], attributes [];
            /// The unloading of a model.
            ModelUnload = "model_unload", spans ["model_unload" "unload_model"], attributes [];
            /// A served HTTP request, or a gRPC call over HTTP.
            HttpRequest = "http_request", spans ["http_request" "grpc_request"], attributes ["http.request.method"];
            /// A sent HTTP request: a span of kind `HttpRequest` with `otel.kind = "client"`.
            HttpClient = "http_client", spans [], attributes [];
            /// A cache operation, or the size of a cache.
            Cache = "cache", spans ["cache"], attributes [];
            /// A database operation.
            Database = "database", spans ["db_query" "database-query"], attributes ["db.operation.name"];
            /// A queue operation.
            Queue = "queue", spans ["queue"], attributes [];
            /// The choice of a model for a request.
            Routing = "routing", spans ["route_selection"], attributes [];
            /// An open connection.
            Connection = "connection", spans ["connection"], attributes [];
            /// The quality or the similarity of answers: an event, never a span.
            Quality = "quality", spans [], attributes [];
            /// An error outside all other kinds: an event, never a span.
            Error = "error", spans [], attributes [];
            /// A metric of the application: an event, never a span.
            Custom = "custom", spans [], attributes [];
            /// An alert that the application raises or resolves: an event, never a span.
            Alert = "alert", spans [], attributes [];
        }
    };
}
pub(crate) use kinds;

macro_rules! define_kind {
    ($(
        $(#[$doc:meta])*
        $kind:ident = $name:literal, spans [$($span:literal)*], attributes [$($attribute:literal)*];
    )*) => {
        /// The kind of an observation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind; a kind's position is `kind as usize`.
            pub(crate) const ALL: [Self; [$(Self::$kind,)*].len()] = [$(Self::$kind,)*];

            /// Returns the value of the label `kind`, which is also the component that a failure counts for.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Returns the kind of the spans with this name.
            fn of_span(name: &str) -> Option<Self> {
                match name {
                    $($($span => Some(Self::$kind),)*)*
                    _ => None,
                }
            }

            /// Returns the kind of the spans that declare the field `name`, an attribute of the semantic conventions.
            pub(crate) fn of_field(name: &str) -> Option<Self> {
                match name {
                    $($($attribute => Some(Self::$kind),)*)*
                    _ => None,
                }
            }
        }
    };
}

kinds!(define_kind);

impl Kind {
    /// Returns the kind that a span's name, or the value of `observatory.kind`, stands for. `renamed` maps the
    /// application's names to names of the table.
    pub(crate) fn named(name: &str, renamed: &BTreeMap<String, String>) -> Option<Self> {
        Self::of_span(renamed.get(name).map_or(name, String::as_str))
    }

    /// Returns whether the table has a span of this name; validates a configured mapping.
    pub(crate) fn is_known(name: &str) -> bool {
        Self::of_span(name).is_some()
    }
}
