//! Describes an exporter to the configuration and to the pipeline.

#[cfg(feature = "otlp")]
use super::Build;
use crate::{
    net::without_secrets,
    settings::{ConfigError, Variable},
    traces::TracesConfig,
};

/// The description of an exporter.
pub(in crate::traces) struct Spec {
    /// Other names of the exporter in `OTEL_TRACES_EXPORTER`.
    pub(in crate::traces) aliases: &'static [&'static str],
    /// The environment variables of the exporter.
    pub(in crate::traces) variables: &'static [Variable<TracesConfig>],
    /// Checks the options of the exporter.
    pub(in crate::traces) validate: fn(&TracesConfig) -> Result<(), ConfigError>,
    /// Builds the exporter; `None` without the exporter's feature.
    #[cfg(feature = "otlp")]
    pub(in crate::traces) build: Option<Build>,
}

/// The error of an endpoint that cannot be used. The value is shown without secrets.
pub(super) fn invalid_endpoint(key: &str, text: &str, expected: &'static str) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{:?}", without_secrets(text)),
        expected: expected.into(),
    }
}

/// Generates [`TraceExporter`](super::TraceExporter) from the table of exporters.
macro_rules! exporters {
    ($($(#[$doc:meta])* $kind:ident: $name:literal $((feature $feature:tt))? => $module:ident,)+) => {
        /// An exporter of traces.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "lowercase")]
        #[non_exhaustive]
        pub enum TraceExporter {
            $($(#[$doc])* $kind,)+
        }

        impl TraceExporter {
            /// Every exporter.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// The value of `OTEL_TRACES_EXPORTER`, as a description of the valid values.
            pub(in crate::traces) const NAMES_EXPECTED: &str = concat!(
                "of ", $("`", $name, "` ", $("(feature `", $feature, "`) ",)? "or ",)+ "`none`"
            );

            /// The name in `OTEL_TRACES_EXPORTER`, and the label in `observatory_spans_total`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// The description of the exporter.
            pub(in crate::traces) const fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$kind => &$module::SPEC,)+
                }
            }

            /// A valid value for `traces.exporters`, if the exporter's own feature is not compiled in.
            pub(in crate::traces) const fn missing_feature(self) -> Option<&'static str> {
                match self {
                    $(
                        $(Self::$kind if !cfg!(feature = $feature) => {
                            Some(concat!("others, or the feature `", $feature, "` added"))
                        })?
                    )+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use exporters;
