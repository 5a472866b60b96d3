//! Prints a syntax tree in the format of Prometheus's `format_query`.
//!
//! Short expressions stay on one line. Longer expressions are split at calls, aggregations and operators, with an indent of
//! two spaces for each level.

use std::fmt::Write as _;

use super::ast::{
    Aggregation, At, Binary, Cardinality, Expr, ExprKind, Extension, Selector, TimeShift,
};
use super::literal::format_duration;
use crate::engine::number::format_literal;
use crate::labels::METRIC_NAME;
use crate::matcher::{MatchOp, Matcher};

/// The maximum length of a line: Prometheus splits longer nodes.
const MAX_LINE: usize = 100;

impl Expr {
    /// Formats the expression over several lines if it is long.
    #[must_use]
    pub fn pretty(&self) -> String {
        pretty(self, 0)
    }
}

impl std::fmt::Display for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&one_line(self))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&selector_text(self))
    }
}

fn pretty(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = one_line(expr);
    if line.chars().count() <= MAX_LINE {
        // Prometheus does not indent a subquery that fits on a line.
        let is_subquery = matches!(expr.kind, ExprKind::Subquery(_));
        return if is_subquery {
            line
        } else {
            format!("{indent}{line}")
        };
    }
    match &expr.kind {
        ExprKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", pretty(inner, level + 1)),
        ExprKind::Negate(inner) => format!("{indent}-{}", pretty(inner, level).trim_start()),
        ExprKind::Subquery(subquery) => {
            let suffix = line
                .strip_prefix(&one_line(&subquery.expr))
                .unwrap_or("")
                .to_owned();
            format!("{}{suffix}", pretty(&subquery.expr, level))
        }
        ExprKind::Call(function, args) => {
            let args: Vec<_> = args.iter().map(|arg| pretty(arg, level + 1)).collect();
            format!(
                "{indent}{}(\n{}\n{indent})",
                function.name,
                args.join(",\n")
            )
        }
        ExprKind::Aggregate(aggregation) => {
            let args = aggregation.param.iter().chain([&aggregation.expr]);
            let args: Vec<_> = args.map(|arg| pretty(arg, level + 1)).collect();
            let head = aggregation_head(aggregation);
            format!("{indent}{head}(\n{}\n{indent})", args.join(",\n"))
        }
        ExprKind::Binary(binary) => {
            let (left, right) = (&binary.left, &binary.right);
            let operator = operator(binary);
            format!(
                "{}\n{indent}{operator}\n{}",
                pretty(left, level + 1),
                pretty(right, level + 1)
            )
        }
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Range(..) => {
            format!("{indent}{line}")
        }
    }
}

fn one_line(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Number(value) => format_literal(*value),
        ExprKind::String(text) => quoted(text),
        ExprKind::Selector(selector) => {
            // Prometheus writes the modifier between `@` and `offset` here, and before both after a range.
            format!(
                "{}{}{}{}",
                selector_text(selector),
                at_text(selector.shift),
                extension_text(selector.extension),
                offset_text(selector.shift)
            )
        }
        ExprKind::Range(selector, range) => format!(
            "{}[{}]{}{}{}",
            selector_text(selector),
            format_duration(*range),
            extension_text(selector.extension),
            at_text(selector.shift),
            offset_text(selector.shift)
        ),
        ExprKind::Subquery(subquery) => format!(
            "{}[{}:{}]{}{}",
            one_line(&subquery.expr),
            format_duration(subquery.range),
            subquery.step.map(format_duration).unwrap_or_default(),
            at_text(subquery.shift),
            offset_text(subquery.shift)
        ),
        ExprKind::Paren(inner) => format!("({})", one_line(inner)),
        ExprKind::Negate(inner) => format!("-{}", one_line(inner)),
        ExprKind::Call(function, args) => {
            let args: Vec<_> = args.iter().map(one_line).collect();
            format!("{}({})", function.name, args.join(", "))
        }
        ExprKind::Aggregate(aggregation) => {
            let args = aggregation.param.iter().chain([&aggregation.expr]);
            let args: Vec<_> = args.map(one_line).collect();
            format!("{}({})", aggregation_head(aggregation), args.join(", "))
        }
        ExprKind::Binary(binary) => format!(
            "{} {} {}",
            one_line(&binary.left),
            operator(binary),
            one_line(&binary.right)
        ),
    }
}

fn aggregation_head(aggregation: &Aggregation) -> String {
    let grouping = &aggregation.grouping;
    let word = if grouping.without { "without" } else { "by" };
    if grouping.labels.is_empty() && !grouping.without {
        return aggregation.op.to_string();
    }
    format!(
        "{} {word} ({}) ",
        aggregation.op,
        label_list(&grouping.labels)
    )
}

fn operator(binary: &Binary) -> String {
    let matching = &binary.matching;
    let mut out = binary.op.to_string();
    if binary.returns_bool {
        out.push_str(" bool");
    }
    let grouping = match matching.cardinality {
        Cardinality::ManyToOne => "group_left",
        Cardinality::OneToMany => "group_right",
        Cardinality::OneToOne | Cardinality::ManyToMany => "",
    };
    if matching.on || !matching.labels.is_empty() || !grouping.is_empty() {
        let word = if matching.on { "on" } else { "ignoring" };
        let _ = write!(out, " {word} ({})", label_list(&matching.labels));
    }
    if !grouping.is_empty() {
        let _ = write!(out, " {grouping} ({})", label_list(&matching.include));
    }
    out
}

fn label_list(labels: &[String]) -> String {
    let labels: Vec<_> = labels.iter().map(|label| label_name(label)).collect();
    labels.join(", ")
}

fn label_name(name: &str) -> String {
    if is_plain_name(name, false) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

pub(in crate::engine) fn is_plain_name(name: &str, colon_allowed: bool) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && colon_allowed);
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_part)
}

fn selector_text(selector: &Selector) -> String {
    let mut matchers: Vec<String> = Vec::new();
    let mut name = "";
    let is_name =
        |matcher: &&Matcher| matcher.name() == METRIC_NAME && matcher.op() == MatchOp::Equal;
    // A name before the braces excludes a second name between the braces.
    let has_one_name = selector.matchers.iter().filter(is_name).count() == 1;
    for matcher in &selector.matchers {
        if has_one_name && is_name(&matcher) {
            if is_plain_name(matcher.value(), true) {
                name = matcher.value();
            } else {
                matchers.insert(0, quoted(matcher.value()));
            }
            continue;
        }
        let label = label_name(matcher.name());
        matchers.push(format!(
            "{label}{}{}",
            matcher.op(),
            quoted(matcher.value())
        ));
    }
    if matchers.is_empty() {
        return name.to_owned();
    }
    // As in Prometheus: sorted by their text, with a quoted name first.
    let labels_at = matchers
        .iter()
        .take_while(|text| text.starts_with('"') && !text.contains('='))
        .count();
    matchers[labels_at..].sort_unstable();
    format!("{name}{{{}}}", matchers.join(","))
}

fn extension_text(extension: Extension) -> String {
    match extension {
        Extension::None => String::new(),
        Extension::Anchored | Extension::Smoothed => format!(" {extension}"),
    }
}

fn at_text(shift: TimeShift) -> String {
    match shift.at {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a time is written in seconds with milliseconds"
        )]
        Some(At::Timestamp(ms)) => format!(" @ {:.3}", ms as f64 / 1000.0),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        None => String::new(),
    }
}

fn offset_text(shift: TimeShift) -> String {
    if shift.offset == 0 {
        return String::new();
    }
    format!(" offset {}", format_duration(shift.offset))
}

/// Quotes a string as Go's `strconv.Quote` does.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
