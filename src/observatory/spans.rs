//! Opens spans whose name and attributes are known only at run time.

use tracing::{Instrument as _, Span, field, info_span};

use super::Observatory;
use crate::observation::SpanAttributes;

impl Observatory {
    /// Runs `work` in a span with this name and these attributes.
    ///
    /// If the name is known at compile time, `tracing::info_span!` and `#[instrument]` are cheaper. The attributes
    /// appear only in traces, after redaction; metrics and log lines do not have them.
    ///
    /// ```
    /// # use llm_observatory::{Config, Observatory};
    /// # let config = Config::default().without_server();
    /// # let (_, observatory) = Observatory::builder(config).build::<tracing_subscriber::Registry>()?;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rerank = async { 3 };
    /// let found = observatory.with_span("rerank", (("documents", 40), ("model", "v3")), rerank).await;
    /// assert_eq!(found, 3);
    /// # });
    /// # Ok::<(), llm_observatory::BuildError>(())
    /// ```
    pub async fn with_span<F: Future>(
        &self,
        name: &str,
        attributes: impl SpanAttributes,
        work: F,
    ) -> F::Output {
        let span = custom_span(name, attributes);
        work.instrument(span).await
    }

    /// Runs `work` like [`Observatory::with_span`], and records an error of `work` as the error of the span.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`.
    pub async fn try_with_span<T, E, F>(
        &self,
        name: &str,
        attributes: impl SpanAttributes,
        work: F,
    ) -> Result<T, E>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let span = custom_span(name, attributes);
        let done = work.instrument(span.clone()).await;
        if let Err(error) = &done {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", field::display(error));
        }
        done
    }
}

/// Opens a span. All custom spans share one callsite; `otel.name` carries the name, which tracing-opentelemetry uses as
/// the name of the span.
fn custom_span(name: &str, attributes: impl SpanAttributes) -> Span {
    let span = info_span!(
        target: "llm_observatory::span",
        "custom",
        otel.name = name,
        otel.status_code = field::Empty,
        otel.status_description = field::Empty,
    );
    #[cfg(feature = "otlp")]
    attributes.each(&mut |key, value| crate::traces::set_attribute(&span, key, value));
    // Without traces, nothing reads the attributes.
    #[cfg(not(feature = "otlp"))]
    drop(attributes);
    span
}
