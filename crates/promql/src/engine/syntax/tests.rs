use super::*;
use crate::engine::syntax::ast::Expr;

fn parsed(text: &str) -> Expr {
    parse(text, &ParseLimits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(text: &str, printed: &str) {
    let expr = parsed(text);
    assert_eq!(expr.to_string(), printed, "{text}");
    assert_eq!(
        parsed(printed).to_string(),
        printed,
        "printing must be stable"
    );
}

fn check_error(text: &str, message: &str) {
    match parse(text, &ParseLimits::default()) {
        Ok(expr) => panic!("{text} was read as {expr}"),
        Err(error) => assert_eq!(error.to_string(), message, "{text}"),
    }
}

#[test]
fn numbers_durations_and_strings_are_read_as_go_reads_them() {
    for (text, value) in [
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("017", "15"),
        ("08", "8"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e-3", "0.001"),
        ("+Inf", "+Inf"),
        ("-inf", "-Inf"),
        ("nAn", "NaN"),
        ("1h30m", "5400"),
        ("1d2h3m4s5ms", "93784.005"),
        ("-2 ^ 2", "-2 ^ 2"),
    ] {
        assert_eq!(parsed(text).to_string(), value, "{text}");
    }
    check(r#""a\n\x41\u00e9\101""#, "\"a\\nAéA\"");
    check("`a\\n`", r#""a\\n""#);
}

#[test]
fn operators_bind_as_in_prometheus() {
    let is_power =
        |expr: &Expr| matches!(&expr.kind, ExprKind::Binary(b) if b.op == BinaryOp::Power);
    let ExprKind::Negate(inner) = parsed("-a ^ 2").kind else {
        panic!()
    };
    assert!(is_power(&inner));
    let ExprKind::Binary(binary) = parsed("a ^ b ^ c").kind else {
        panic!()
    };
    assert!(is_power(&binary.right));
    let ExprKind::Binary(binary) = parsed("a - b - c").kind else {
        panic!()
    };
    assert_eq!(binary.right.to_string(), "c");
    let ExprKind::Binary(binary) = parsed("a or b and c").kind else {
        panic!()
    };
    assert_eq!(binary.op, BinaryOp::Or);
    check("-foo offset 5m", "-foo offset 5m");
}

#[test]
fn queries_print_as_prometheus_prints_them() {
    check("sum(rate(a:b[5m])) BY (x,)", "sum by (x) (rate(a:b[5m]))");
    check("sum without() (a)", "sum without () (a)");
    check(
        "rate(a[5m] offset 1m @ 3 ANCHORED)",
        "rate(a[5m] anchored @ 3.000 offset 1m)",
    );
    check("rate(a[5m]smoothed)", "rate(a[5m] smoothed)");
    check("a smoothed offset 1m @ 3", "a @ 3.000 smoothed offset 1m");
    // Prometheus also reads the modifier before a range, and accepts a metric with its name.
    check("a anchored[5m]", "a[5m] anchored");
    check("anchored + smoothed", "anchored + smoothed");
    check("a{b='c',__name__=~\"x\"}", r#"a{__name__=~"x",b="c"}"#);
    check(r#"{"my.metric", "a.b"="c"}"#, r#"{"my.metric","a.b"="c"}"#);
    check(
        "a == bool ON(x) group_left(y) b",
        "a == bool on (x) group_left (y) b",
    );
    check(
        "rate(a[1m])[1h:] @ end() offset -5m",
        "rate(a[1m])[1h:] @ end() offset -5m",
    );
    check("a[300] @ 1.5", "a[5m] @ 1.500");
    check("sum + by{on=\"1\"} # comment\n", r#"sum + by{on="1"}"#);
    check("topk(3, a) ", "topk(3, a)");
    check("{__name__=\"up\"}", "up");
    check(
        "count_values by (a) (\"v\", b)",
        "count_values by (a) (\"v\", b)",
    );
    check("start + end + offset", "start + end + offset");
    check("{\"b\", __name__=\"a\"}", "{__name__=\"a\",__name__=\"b\"}");
}

#[test]
fn errors_name_the_place_and_the_fault() {
    for (text, message) in [
        ("", "1:1: parse error: no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("a\n+ (b", "2:5: parse error: unclosed left parenthesis"),
        ("a)", "1:3: parse error: unexpected right parenthesis ')'"),
        (
            "{}",
            "1:1: parse error: vector selector must contain at least one non-empty matcher",
        ),
        (
            "{a=~\".*\"}",
            "1:1: parse error: vector selector must contain at least one non-empty matcher",
        ),
        (
            "foo(a)",
            "1:1: parse error: unknown function with name \"foo\"",
        ),
        (
            "rate(a)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        (
            "abs()",
            "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0",
        ),
        (
            "round(a, 1, 2)",
            "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3",
        ),
        (
            "1 == 2",
            "1:3: parse error: comparisons between scalars must use BOOL modifier",
        ),
        (
            "1 and 2",
            "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
        ),
        (
            "a + bool b",
            "1:3: parse error: bool modifier can only be used on comparison operators",
        ),
        (
            "a and on(x) group_left b",
            "1:1: parse error: no grouping allowed for \"and\" operation",
        ),
        (
            "a offset 5m offset 5m",
            "1:1: parse error: offset may not be set multiple times",
        ),
        (
            "(a)[5m]",
            "1:4: parse error: ranges only allowed for vector selectors",
        ),
        (
            "a offset 1m [5m]",
            "1:13: parse error: no offset modifiers allowed before range",
        ),
        ("a[0s]", "1:3: parse error: duration must be greater than 0"),
        (
            "a[1m:1m][1m:1m]",
            "1:1: parse error: subquery is only allowed on instant vector, got matrix instead",
        ),
        ("\"a", "1:1: parse error: unterminated quoted string"),
        (
            "sum()",
            "1:1: parse error: no arguments for aggregate expression provided",
        ),
        (
            "sort_by_label(a, \"b\")",
            "1:1: parse error: function \"sort_by_label\" is experimental in Prometheus 3 and not supported",
        ),
        (
            "histogram_sum(a)",
            "1:1: parse error: function \"histogram_sum\" works on native histograms, which are not supported",
        ),
        (
            "limitk(1, a)",
            "1:1: parse error: limitk() is experimental in Prometheus 3 and not supported",
        ),
        (
            "a + on(x) group_left(x) b",
            "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once",
        ),
        (
            "a{b=\"c\"",
            "1:8: parse error: unexpected end of input inside braces",
        ),
        (
            "5mx",
            "1:1: parse error: bad number or duration syntax: \"5mx\"",
        ),
        (
            "-\"a\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
    ] {
        check_error(text, message);
    }
}

#[test]
fn faults_of_the_text_are_named_as_prometheus_names_them() {
    for (text, message) in [
        (
            "a[5m+1m]",
            "1:3: parse error: experimental duration expression is not enabled",
        ),
        (
            "a[5m] anchored smoothed",
            "1:1: parse error: anchored and smoothed modifiers cannot be used together",
        ),
        (
            "a smoothed anchored",
            "1:1: parse error: anchored and smoothed modifiers cannot be used together",
        ),
        (
            "a[5m:1m] anchored",
            "1:1: parse error: anchored modifier is not supported for subqueries",
        ),
        (
            "a[5m:1m] smoothed",
            "1:1: parse error: smoothed modifier is not supported for subqueries",
        ),
        (
            "(a + b) smoothed",
            "1:1: parse error: smoothed modifier not implemented",
        ),
        (
            "sum(a) anchored",
            "1:1: parse error: anchored modifier not implemented",
        ),
        ("on", "1:1: parse error: unexpected <on>"),
        (
            "a !b",
            "1:3: parse error: unexpected character after '!': 'b'",
        ),
        ("a }", "1:3: parse error: unexpected character: '}'"),
        (
            "a{b>\"c\"}",
            "1:4: parse error: unexpected character inside braces: '>'",
        ),
        (
            "a{b=~\"(\"}",
            "1:3: parse error: error parsing regexp: missing closing ): `(`",
        ),
        (
            "sum(a,)",
            "1:6: parse error: trailing commas not allowed in function call args",
        ),
        (
            "a @ +Inf",
            "1:1: parse error: timestamp out of bounds for @ modifier: +Inf",
        ),
        (
            "1_e2",
            "1:1: parse error: bad number or duration syntax: \"1_e2\"",
        ),
        // A syntax error is reported before an error in the meaning.
        ("1 == 2 +", "1:9: parse error: unexpected end of input"),
    ] {
        check_error(text, message);
    }
}

#[test]
fn limits_hold_before_the_stack_does() {
    check_error(
        &"a".repeat(16_385),
        "1:1: parse error: query is 16385 bytes long, the limit of max_query_bytes is 16384",
    );
    assert!(parse(&"a".repeat(16_384), &ParseLimits::default()).is_ok());
    let deep = format!("{}a{}", "(".repeat(2000), ")".repeat(2000));
    assert!(parse(&deep, &ParseLimits::default()).is_err());
    let long = vec!["1"; 2000].join("+");
    assert!(parse(&long, &ParseLimits::default()).is_err());
    assert!(parse(&"-".repeat(16_000), &ParseLimits::default()).is_err());
    let fine = vec!["1"; 100].join("+");
    assert!(parse(&fine, &ParseLimits::default()).is_ok());
}
