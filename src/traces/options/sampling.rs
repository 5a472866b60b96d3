//! Which traces are kept.

/// Which traces are kept, decided where a trace begins.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SamplingConfig {
    /// Share of the traces that begin here, 0 to 1. Default: 1.
    pub ratio: f64,
    /// Whether a trace that began elsewhere is kept if it was kept there. Default: true.
    pub respects_parent: bool,
    /// Shares for some traces; the first that matches counts instead of `ratio`. Default: none.
    pub rules: Vec<SamplingRule>,
    /// Traces that begin here and are kept, per second at most. Default: no limit.
    pub traces_per_second: Option<f64>,
}

/// The share of the traces that is kept where a trace's first span is of this kind.
///
/// It is read when the span is created: a model or route that is recorded later comes too late. A pattern is a whole
/// value, or the beginning of one where it ends in `*`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SamplingRule {
    /// Pattern of the span's name. `None`: any.
    pub span: Option<String>,
    /// Pattern of its `http.route`, `route` or `url.path`. `None`: any.
    pub route: Option<String>,
    /// Pattern of its `model_id` or `gen_ai.request.model`. `None`: any.
    pub model: Option<String>,
    /// The share that is kept, 0 to 1.
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

    /// Only for traces that begin with a span of such a name.
    #[must_use]
    pub fn with_span(mut self, pattern: impl Into<String>) -> Self {
        self.span = Some(pattern.into());
        self
    }

    /// Only for traces that begin at such a route.
    #[must_use]
    pub fn with_route(mut self, pattern: impl Into<String>) -> Self {
        self.route = Some(pattern.into());
        self
    }

    /// Only for traces that begin with such a model.
    #[must_use]
    pub fn with_model(mut self, pattern: impl Into<String>) -> Self {
        self.model = Some(pattern.into());
        self
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
