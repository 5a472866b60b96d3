//! Reports the results of the exported spans, after the shutdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::exposition::Scrape;

/// Formats a line for each exporter, such as `spans to otlp: 940 exported, 0 sampled_out, 60 dropped, 0 failed`;
/// returns an empty text if no traces are exported.
pub(crate) fn spans(metrics: &str) -> String {
    let Ok(scrape) = Scrape::parse(metrics) else {
        return String::new();
    };
    let mut by_exporter: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for sample in scrape.select("observatory_spans_total", &[]) {
        let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
        let part = format!("{} {}", sample.value, label("result"));
        by_exporter.entry(label("exporter")).or_default().push(part);
    }
    let mut text = String::new();
    for (exporter, parts) in by_exporter {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "spans to {exporter}: {}", parts.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exporter_has_a_line() {
        let metrics = "observatory_spans_total{exporter=\"otlp\",result=\"exported\"} 3\n\
            observatory_spans_total{exporter=\"zipkin\",result=\"exported\"} 0\n\
            observatory_spans_total{exporter=\"otlp\",result=\"dropped\"} 1\n";
        let expected = "spans to otlp: 3 exported, 1 dropped\nspans to zipkin: 0 exported\n";
        assert_eq!(spans(metrics), expected);
        assert_eq!(spans("other_total 1\n"), "");
    }
}
