//! Writes Prometheus text 0.0.4 and `OpenMetrics` 1.0.

use std::ops::ControlFlow;

use super::{
    Chunks, Moment,
    number::{write_f64, write_u64},
    shown,
};
use crate::metrics::{
    catalog::MetricKind,
    registry::{Exemplar, Family, Histogram, Registry, Series, Tables},
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Prometheus,
    OpenMetrics,
}

pub(super) fn write(
    registry: &Registry,
    style: Style,
    moment: &Moment,
    out: &mut Chunks<'_>,
) -> ControlFlow<()> {
    for family in registry.families() {
        write_family(registry, &family, style, moment, out)?;
    }
    if style == Style::OpenMetrics {
        out.text().push_str("# EOF\n");
    }
    ControlFlow::Continue(())
}

fn write_family(
    registry: &Registry,
    family: &Family,
    style: Style,
    moment: &Moment,
    out: &mut Chunks<'_>,
) -> ControlFlow<()> {
    // Writes help and type with the first shown series, and omits a family without shown series.
    let mut is_introduced = false;
    let mut introduce = |out: &mut Chunks<'_>| {
        if !std::mem::replace(&mut is_introduced, true) {
            write_about(registry, family, style, out.text());
        }
    };
    match &family.series {
        Tables::Counter(table) => {
            let can_have_exemplars =
                style == Style::OpenMetrics && stem(registry, family).is_some();
            for series in shown(registry, &table.sorted(), moment) {
                introduce(out);
                let value = series.value();
                write_name(out.text(), &family.name, &series.labels);
                if value.fraction == 0.0 {
                    write_u64(out.text(), value.whole);
                } else {
                    write_f64(out.text(), value.as_f64());
                }
                if can_have_exemplars && let Some(exemplar) = series.exemplar() {
                    write_exemplar(out.text(), &exemplar);
                }
                out.text().push('\n');
                out.pass()?;
            }
        }
        Tables::Gauge(table) => {
            for series in shown(registry, &table.sorted(), moment) {
                introduce(out);
                write_name(out.text(), &family.name, &series.labels);
                write_f64(out.text(), series.value());
                out.text().push('\n');
                out.pass()?;
            }
        }
        Tables::Histogram(table, ..) => {
            for series in shown(registry, &table.sorted(), moment) {
                introduce(out);
                write_histogram(out.text(), &family.name, series, style);
                out.pass()?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Writes `# HELP`, `# TYPE`, and in `OpenMetrics` `# UNIT`.
fn write_about(registry: &Registry, family: &Family, style: Style, out: &mut String) {
    let about = family.about();
    let mut kind = family.kind().as_str();
    let mut name = &*family.name;
    if style == Style::OpenMetrics
        && family.kind() == MetricKind::Counter
        && name.ends_with("_total")
    {
        match stem(registry, family) {
            Some(stem) => name = stem,
            None => kind = "unknown",
        }
    }
    if let Some(help) = &about.help {
        for part in ["# HELP ", name, " "] {
            out.push_str(part);
        }
        write_help(out, help, style);
        out.push('\n');
    }
    for part in ["# TYPE ", name, " ", kind, "\n"] {
        out.push_str(part);
    }
    if let (Style::OpenMetrics, Some(unit)) =
        (style, about.unit.filter(|unit| name.ends_with(unit)))
    {
        for part in ["# UNIT ", name, " ", unit, "\n"] {
            out.push_str(part);
        }
    }
}

/// Returns a counter's name without `_total`, as `OpenMetrics` requires; `None` if another metric has that name. The
/// counter is then written with the type `unknown`, because `OpenMetrics` forbids two families of the same name.
fn stem<'f>(registry: &Registry, family: &'f Family) -> Option<&'f str> {
    let stem = family.name.strip_suffix("_total")?;
    registry.family(stem).is_none().then_some(stem)
}

fn write_help(out: &mut String, help: &str, style: Style) {
    for character in help.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if style == Style::OpenMetrics => out.push_str("\\\""),
            plain => out.push(plain),
        }
    }
}

/// Writes `name{labels} `.
#[inline]
fn write_name(out: &mut String, name: &str, labels: &str) {
    out.push_str(name);
    if !labels.is_empty() {
        out.push('{');
        out.push_str(labels);
        out.push('}');
    }
    out.push(' ');
}

fn write_histogram(out: &mut String, name: &str, series: &Series<Histogram>, style: Style) {
    let bounds = series.bounds();
    let exemplars = match style {
        Style::OpenMetrics => series.exemplars().unwrap_or_default(),
        Style::Prometheus => Vec::new(),
    };
    let mut count = 0_u64;
    for (bucket, observations) in series.buckets().enumerate() {
        count = count.wrapping_add(observations);
        out.push_str(name);
        out.push_str("_bucket{");
        if !series.labels.is_empty() {
            out.push_str(&series.labels);
            out.push(',');
        }
        out.push_str("le=\"");
        out.push_str(bounds.le().get(bucket).map_or("+Inf", String::as_str));
        out.push_str("\"} ");
        write_u64(out, count);
        if let Some(Some(exemplar)) = exemplars.get(bucket) {
            write_exemplar(out, exemplar);
        }
        out.push('\n');
    }
    out.push_str(name);
    write_name(out, "_sum", &series.labels);
    write_f64(out, series.sum());
    out.push('\n');
    out.push_str(name);
    write_name(out, "_count", &series.labels);
    write_u64(out, count);
    out.push('\n');
}

fn write_exemplar(out: &mut String, exemplar: &Exemplar) {
    out.push_str(" # ");
    exemplar.write_labels(out);
    out.push(' ');
    write_f64(out, exemplar.value);
    out.push(' ');
    write_f64(out, exemplar.seconds());
}

#[cfg(test)]
mod tests;
