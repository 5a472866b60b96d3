//! Defines the options of head sampling.

use crate::settings::setters;

/// The options of head sampling, which decides at the first span of a trace.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SamplingConfig {
    /// The sampled ratio of the traces that start in this process, 0 to 1. Default: 1.
    pub ratio: f64,
    /// True if the flag of a remote parent decides on its trace. Default: true.
    pub respects_parent: bool,
    /// Rules with a ratio for some traces. The first rule that matches replaces `ratio`. Default: no rules.
    pub rules: Vec<SamplingRule>,
    /// The maximum number of sampled traces per second that start in this process. Default: no limit.
    pub traces_per_second: Option<f64>,
}

/// A rule: the sampled ratio of the traces whose first span matches the patterns.
///
/// The fields are read at the creation of the span; a model or route that is recorded later does not match. A pattern
/// is a whole value, or a prefix if it ends in `*`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SamplingRule {
    /// The pattern of the name of the span. `None` matches any name.
    pub span: Option<String>,
    /// The pattern of `http.route`, `route` or `url.path`. `None` matches any route.
    pub route: Option<String>,
    /// The pattern of `model_id` or `gen_ai.request.model`. `None` matches any model.
    pub model: Option<String>,
    /// The sampled ratio, 0 to 1.
    pub ratio: f64,
}

impl SamplingRule {
    /// A rule for every trace.
    #[must_use]
    pub fn new(ratio: f64) -> Self {
        Self {
            ratio,
            ..Self::default()
        }
    }

    setters! {
        /// Restricts the rule to first spans with this name.
        with_span(pattern: impl Into<String>) { self.span = Some(pattern.into()) }

        /// Restricts the rule to first spans with this route.
        with_route(pattern: impl Into<String>) { self.route = Some(pattern.into()) }

        /// Restricts the rule to first spans with this model.
        with_model(pattern: impl Into<String>) { self.model = Some(pattern.into()) }
    }
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self {
            ratio: 1.0,
            respects_parent: true,
            rules: Vec::new(),
            traces_per_second: None,
        }
    }
}
