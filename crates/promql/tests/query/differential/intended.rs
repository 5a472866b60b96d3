//! The intended differences between Prometheus 2.42 and 3, and between Prometheus 3 and this engine.
//!
//! A query that versions 2 and 3 answer differently is rewritten: an equivalent expression with the same result in both
//! versions replaces a part of it. Any other difference between the results still shows.

use promql_engine::engine::Engine;
use promql_engine::engine::syntax::{AggregateOp, BinaryOp, Expr, ExprKind, ParseLimits, parse};
use serde_json::Value;

/// A rewritten query.
pub(super) struct Words {
    pub(super) class: &'static str,
    pub(super) for_theirs: String,
    pub(super) for_ours: String,
}

/// Returns the replacement of a node, given its new text. `None` keeps the node.
type Replace = fn(&Expr, &str) -> Option<String>;

/// Each class of differences alone, and then all classes, because a query may have several.
const CLASSES: [(&str, Replace); 5] = [
    (
        "which of equal values topk and bottomk keep",
        counted_values,
    ),
    ("atan2 drops the name", without_the_name_of_atan2),
    ("the spread of one NaN or infinity is NaN", with_nan_of_one),
    (
        "small spreads are compensated sums",
        without_digits_of_spreads,
    ),
    (
        "means are compensated sums divided by the count",
        mean_as_sum,
    ),
];

pub(super) fn in_other_words(query: &str, theirs: &Value, engine: &Engine) -> Vec<Words> {
    let message = theirs["error"].as_str().unwrap_or("");
    if message.contains("expected duration") || message.contains("unexpected duration") {
        let for_theirs = spelled_for_2(query);
        return vec![Words {
            class: "durations and numbers are one",
            for_theirs,
            for_ours: query.to_owned(),
        }];
    }
    let Ok(prepared) = engine.prepare(query) else {
        return Vec::new();
    };
    let expr = prepared.expr();
    let mut all = Vec::new();
    let all_at_once: Replace = |expr, text| {
        let mut new: Option<String> = None;
        for (_, replace) in CLASSES {
            new = replace(expr, new.as_deref().unwrap_or(text)).or(new);
        }
        new
    };
    let several = [("several of them at once", all_at_once)];
    for (class, replace) in CLASSES.into_iter().chain(several) {
        let text = rewritten(query, expr, replace);
        if text != query {
            let (for_theirs, for_ours) = (text.clone(), text);
            all.push(Words {
                class,
                for_theirs,
                for_ours,
            });
        }
    }
    all
}

/// Prometheus 3 agrees on the spread of equal values only if the functions inside agree to the last bit.
pub(super) fn in_other_words_for_3(query: &str, engine: &Engine) -> Option<Words> {
    let prepared = engine.prepare(query).ok()?;
    let text = rewritten(query, prepared.expr(), without_digits_of_spreads);
    (text != query).then(|| Words {
        class: "the last digits of a small spread",
        for_theirs: in_words_of_3(&text),
        for_ours: text,
    })
}

/// Prometheus before prometheus/prometheus#17668 checks the matching of the samples that a filter keeps. Without the
/// filter, all versions check all samples.
pub(super) fn in_words_without_filters(
    query: &str,
    (theirs, ours): (&Value, &Value),
    engine: &Engine,
) -> Option<Words> {
    let error = ours["error"].as_str().unwrap_or("");
    if !error.starts_with("multiple matches for labels") || theirs["status"] == "error" {
        return None;
    }
    let prepared = engine.prepare(query).ok()?;
    let text = rewritten(query, prepared.expr(), with_bool);
    Some(Words {
        class: "a wrong matching fails whatever a filter keeps",
        for_theirs: text.clone(),
        for_ours: text,
    })
}

/// Formats an expression with replaced nodes, from the leaves up.
fn rewritten(query: &str, expr: &Expr, replace: Replace) -> String {
    let mut children: Vec<&Expr> = match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Range(..) => {
            Vec::new()
        }
        ExprKind::Subquery(subquery) => vec![&subquery.expr],
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => vec![inner],
        ExprKind::Call(_, args) => args.iter().collect(),
        ExprKind::Aggregate(a) => a.param.iter().chain([&a.expr]).collect(),
        ExprKind::Binary(binary) => vec![&binary.left, &binary.right],
    };
    children.sort_by_key(|child| child.span.start);
    let mut text = String::new();
    let mut at = expr.span.start as usize;
    for child in children {
        text.push_str(&query[at..child.span.start as usize]);
        text.push_str(&rewritten(query, child, replace));
        at = child.span.end as usize;
    }
    text.push_str(&query[at..expr.span.end as usize]);
    replace(expr, &text).unwrap_or(text)
}

/// Multiplying by one drops the name in both versions, and changes nothing else.
fn without_the_name_of_atan2(expr: &Expr, text: &str) -> Option<String> {
    match &expr.kind {
        ExprKind::Binary(binary) if binary.op == BinaryOp::Atan2 => Some(format!("(({text}) * 1)")),
        _ => None,
    }
}

/// Zero times the sum is NaN if a value is NaN or infinite, and zero otherwise.
fn with_nan_of_one(expr: &Expr, text: &str) -> Option<String> {
    match &expr.kind {
        ExprKind::Aggregate(a) if matches!(a.op, AggregateOp::StdDev | AggregateOp::StdVar) => {
            let rest = text.strip_prefix("stddev").or(text.strip_prefix("stdvar"));
            Some(format!("(({text}) + 0 * (sum{}))", rest?))
        }
        ExprKind::Call(function, _) => {
            let name = function.name;
            let is_spread = name == "stddev_over_time" || name == "stdvar_over_time";
            let rest = text.strip_prefix(name).filter(|_| is_spread)?;
            Some(format!("(({text}) + 0 * sum_over_time{rest})"))
        }
        _ => None,
    }
}

/// 2.42 sums without compensation: the last digits of a spread are noise if it is small beside its values.
fn without_digits_of_spreads(expr: &Expr, text: &str) -> Option<String> {
    let is_spread = match &expr.kind {
        ExprKind::Aggregate(a) => matches!(a.op, AggregateOp::StdDev | AggregateOp::StdVar),
        ExprKind::Call(function, _) => {
            matches!(function.name, "stddev_over_time" | "stdvar_over_time")
        }
        _ => false,
    };
    is_spread.then(|| format!("round({text}, 0.01)"))
}

/// The number of kept samples of each value does not depend on their series.
fn counted_values(expr: &Expr, text: &str) -> Option<String> {
    let ExprKind::Aggregate(a) = &expr.kind else {
        return None;
    };
    let word = if a.grouping.without { "without" } else { "by" };
    let labels = a.grouping.labels.join(", ");
    matches!(a.op, AggregateOp::TopK | AggregateOp::BottomK)
        .then(|| format!("count_values {word} ({labels}) (\"value\", {text})"))
}

/// With `bool`, a comparison of two vectors keeps all samples.
fn with_bool(expr: &Expr, text: &str) -> Option<String> {
    let is_filter = |expr: &Expr| match &expr.kind {
        ExprKind::Binary(binary) => binary.op.is_comparison() && !binary.returns_bool,
        _ => false,
    };
    if !is_filter(expr) {
        return None;
    }
    // The operands in `text` are rewritten, too, so the place of the operator is another than in `expr`.
    let parsed = parse(text, &ParseLimits::default()).ok()?;
    let ExprKind::Binary(binary) = &parsed.kind else {
        return None;
    };
    let left = binary.left.span.end as usize;
    let op = binary.op.to_string();
    let after_op = left + text.get(left..)?.find(&op)? + op.len();
    let (before, after) = text.split_at(after_op);
    Some(format!("{before} bool {after}"))
}

fn mean_as_sum(expr: &Expr, text: &str) -> Option<String> {
    let ExprKind::Call(function, _) = &expr.kind else {
        return None;
    };
    let rest = text.strip_prefix("avg_over_time")?;
    (function.name == "avg_over_time")
        .then(|| format!("(sum_over_time{rest} / count_over_time{rest})"))
}

/// 2.42 requires units on ranges and refuses units on numbers.
fn spelled_for_2(query: &str) -> String {
    let pairs = [
        ("[300]", "[300s]"),
        ("[1e2]", "[100s]"),
        ("offset 60", "offset 60s"),
        ("offset 1", "offset 1s"),
        ("[5m:30]", "[5m:30s]"),
        ("5m + 1", "300 + 1"),
        ("1h", "3600"),
        ("1h30m", "5400"),
        ("> 1s", "> 1"),
    ];
    pairs.iter().fold(query.to_owned(), |query, (new, old)| {
        query.replace(new, old)
    })
}

/// Version 3 has the function under its new name only.
pub(super) fn in_words_of_3(query: &str) -> String {
    query.replace("holt_winters", "double_exponential_smoothing")
}

/// Compares errors, warnings and infos. The order of warnings is random in Prometheus.
pub(super) fn difference_of_messages(query: &str, theirs: &Value, ours: &Value) -> Option<String> {
    let different = |key: &str| Some(format!("{key}: theirs {} ours {}", theirs[key], ours[key]));
    if theirs["errorType"] != ours["errorType"] {
        return different("errorType");
    }
    let error = |answer: &Value| {
        let error = answer["error"].as_str().unwrap_or("");
        // Which of many duplicates is met first is by chance.
        let end = error.find("match group").unwrap_or(error.len());
        error[..end].to_owned()
    };
    if error(theirs) != error(ours) {
        return different("error");
    }
    for key in ["warnings", "infos"] {
        let (a, b) = (notes(query, &theirs[key]), notes(query, &ours[key]));
        // Of more than ten, ten are shown, by chance.
        let is_cut = |notes: &[String]| notes.iter().any(|note| note.contains("omitted"));
        let is_same = if is_cut(&a) {
            a.len() == b.len()
        } else {
            a == b
        };
        if !is_same {
            return different(key);
        }
    }
    None
}

fn notes(query: &str, list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    let mut notes: Vec<String> = list.map(|note| note.as_str().unwrap().to_owned()).collect();
    // 3 forgets a histogram's name after the first step, and the place of a subquery.
    let is_nameless = |note: &String| note.contains("monotonicity") && note.contains("name \"\" ");
    let has_named = |note: &String| note.contains("monotonicity") && !is_nameless(note);
    if notes.iter().any(has_named) {
        notes.retain(|note| !is_nameless(note));
    }
    if query.contains(':') {
        let is_of_rate = |note: &String| note.contains("not be a counter");
        for note in notes.iter_mut().filter(|note| is_of_rate(note)) {
            note.truncate(note.rfind(" (").unwrap());
        }
    }
    notes.sort();
    notes.dedup();
    notes
}

/// Compares warnings without their numbers.
fn differ_in_numbers_only(query: &str, theirs: &Value, ours: &Value) -> bool {
    let words = |answer: &Value| {
        let mut words = notes(query, &answer["warnings"]).join("\n");
        words.retain(|c| !c.is_ascii_digit());
        words
    };
    theirs["data"] == ours["data"]
        && words(theirs) == words(ours)
        && notes(query, &theirs["infos"]) == notes(query, &ours["infos"])
}

pub(super) fn class_of_3(query: &str, theirs: &Value, ours: &Value) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| query.contains(word));
    let error = |answer: &Value| answer["error"].as_str().unwrap_or("").to_owned();
    if error(ours) == "Parameter value is NaN" && has(&["topk", "bottomk"]) {
        // 3.5 says so only where there is something to choose from, and calls it an overflow.
        Some("topk and bottomk of NaN fail, as in later versions of 3")
    } else if error(theirs).contains("unknown position") && query.trim().is_empty() {
        Some("the place of nothing")
    } else if has(&["(time(),"]) && differ_in_numbers_only(query, theirs, ours) {
        // 3.5 looks at the vector only when it decides whether a quantile changes from step to step, and evaluates
        // subqueries to the end of the range, also where its last step is before that.
        Some("which of several bad quantiles is named")
    } else {
        None
    }
}
