//! Spans whose name and attributes are known only when they are made.

use tracing::{Instrument as _, Span, field, info_span};

use super::Observatory;
use crate::observation::AttributeValue;

impl Observatory {
    /// Runs `work` in a span of this name, with these attributes.
    ///
    /// Where the name is known beforehand, `tracing::info_span!` and `#[instrument]` are cheaper. The attributes go into
    /// traces alone, as far as redaction lets them; metrics and log lines do not have them.
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

    /// As [`Observatory::with_span`], and what `work` fails with is the span's error.
    ///
    /// # Errors
    ///
    /// What `work` fails with.
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

/// The callsite is one for all: a name of the moment is `otel.name`, which tracing-opentelemetry takes for it.
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
    // Without traces there is nobody to have them.
    #[cfg(not(feature = "otlp"))]
    drop(attributes);
    span
}
