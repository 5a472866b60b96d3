//! Splits the expressions of alert rules into values and thresholds, so that the page draws each value against its
//! threshold.

use axum::{extract::State, response::Response};
use serde::Serialize;

use super::{json, on_blocking_thread};
use crate::{
    query::engine::syntax::{BinaryOp, Expr, ExprKind, ParseLimits, parse},
    server::endpoints::ServerState,
};

/// The conditions of a rule, all of which must hold.
#[derive(Serialize)]
struct RuleConditions {
    rule: String,
    conditions: Vec<Condition>,
}

/// A comparison of two expressions.
#[derive(Debug, PartialEq, Serialize)]
struct Condition {
    /// The query of the value.
    value: String,
    /// The comparison, for example `>`.
    operator: String,
    /// The query of the threshold.
    threshold: String,
    /// The query of the burn rate, if the threshold is a multiple of an error budget, as in the rules of an SLO.
    #[serde(skip_serializing_if = "Option::is_none")]
    burn: Option<Burn>,
}

/// The parts of a threshold of the form `14.4 * (1 - 0.999)`.
#[derive(Debug, PartialEq, Serialize)]
struct Burn {
    /// The burn rate from which the rule fires.
    factor: f64,
    /// The query of the error budget: the share of events that may fail.
    budget: String,
}

/// Lists the conditions of every alert rule with an expression.
pub(super) async fn list(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| {
        let rules = alerts.rules().into_iter().flat_map(|group| group.rules);
        let listed = rules.filter(|rule| rule.kind == "alerting").map(|rule| {
            let conditions = conditions(&rule.query);
            RuleConditions {
                rule: rule.name,
                conditions,
            }
        });
        json(&listed.collect::<Vec<_>>())
    })
    .await
}

/// Returns the comparisons that an expression joins with `and`; none for an expression that does not parse.
fn conditions(query: &str) -> Vec<Condition> {
    let Ok(expr) = parse(query, &ParseLimits::default()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut waiting = vec![&expr];
    while let Some(expr) = waiting.pop() {
        match &expr.kind {
            ExprKind::Paren(inner) => waiting.push(inner),
            ExprKind::Binary(binary) if binary.op == BinaryOp::And => {
                waiting.extend([&binary.right, &binary.left]);
            }
            ExprKind::Binary(binary) if binary.op.is_comparison() => found.push(Condition {
                value: binary.left.to_string(),
                operator: binary.op.to_string(),
                threshold: binary.right.to_string(),
                burn: burn(&binary.right),
            }),
            _ => {}
        }
    }
    found
}

fn burn(threshold: &Expr) -> Option<Burn> {
    match &threshold.kind {
        ExprKind::Paren(inner) => burn(inner),
        ExprKind::Binary(binary) if binary.op == BinaryOp::Multiply => {
            let ExprKind::Number(factor) = binary.left.kind else {
                return None;
            };
            Some(Burn {
                factor,
                budget: binary.right.to_string(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::{Slo, slo_rules};

    fn parts(query: &str) -> Vec<(String, String, String)> {
        let found = conditions(query).into_iter();
        found
            .map(|one| (one.value, one.operator, one.threshold))
            .collect()
    }

    #[test]
    fn comparisons_are_found_in_their_order() {
        let found =
            parts("sum(rate(a[5m])) / sum(rate(b[5m])) > 0.05 and sum(increase(b[5m])) >= 20");
        let expected = [
            ("sum(rate(a[5m])) / sum(rate(b[5m]))", ">", "0.05"),
            ("sum(increase(b[5m]))", ">=", "20"),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_expression_without_a_comparison_has_no_condition() {
        for query in ["absent(up)", "vector(1)", "a or b > 1", "not promql("] {
            assert!(conditions(query).is_empty(), "{query}");
        }
    }

    #[test]
    fn the_budget_of_an_objective_is_found_in_its_rules() {
        let slo = Slo::new("availability", "bad_total", "all_total", 0.999).unwrap();
        for rule in slo_rules(&slo).rules {
            let query = format!("{rule:?}");
            let expr = query.split("Expr(\"").nth(1).unwrap();
            let expr = expr.split("\")").next().unwrap();
            let found = conditions(expr);
            assert_eq!(found.len(), 3, "{expr}");
            assert_eq!(found[0].burn, found[1].burn);
            assert_eq!(found[0].burn.as_ref().unwrap().budget, "(1 - 0.999)");
            assert!(found[2].burn.is_none());
        }
    }
}
