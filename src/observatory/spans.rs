//! Opens spans whose name and attributes are known only at run time.

use tracing::{Instrument as _, Span, field, info_span};

use super::Observatory;
use crate::observation::AttributeValue;

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
    /// let found = observatory.with_span("rerank", [("documents", 40)], rerank).await;
    /// assert_eq!(found, 3);
    /// # });
    /// # Ok::<(), llm_observatory::BuildError>(())
    /// ```
    pub async fn with_span<K, V, F>(
        &self,
        name: &str,
        attributes: impl IntoIterator<Item = (K, V)>,
        work: F,
    ) -> F::Output
    where
        K: Into<String>,
        V: Into<AttributeValue>,
        F: Future,
    {
        let span = custom_span(name, attributes);
        work.instrument(span).await
    }

    /// Runs `work` like [`Observatory::with_span`], and records an error of `work` as the error of the span.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`.
    pub async fn try_with_span<K, V, T, E, F>(
        &self,
        name: &str,
        attributes: impl IntoIterator<Item = (K, V)>,
        work: F,
    ) -> Result<T, E>
    where
        K: Into<String>,
        V: Into<AttributeValue>,
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
fn custom_span<K: Into<String>, V: Into<AttributeValue>>(
    name: &str,
    attributes: impl IntoIterator<Item = (K, V)>,
) -> Span {
    let span = info_span!(
        target: "llm_observatory::span",
        "custom",
        otel.name = name,
        otel.status_code = field::Empty,
        otel.status_description = field::Empty,
    );
    #[cfg(feature = "otlp")]
    for (key, value) in attributes {
        crate::traces::set_attribute(&span, key.into(), value.into());
    }
    // Without traces, nothing reads the attributes.
    #[cfg(not(feature = "otlp"))]
    drop(attributes);
    span
}
