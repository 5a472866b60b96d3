//! Visits the selectors of a syntax tree.

use super::ast::{Expr, ExprKind, Selector};

impl Expr {
    /// Returns the selectors of the query, from left to right.
    #[must_use]
    pub fn selectors(&self) -> Vec<&Selector> {
        let mut found = Vec::new();
        collect(self, &mut found);
        found
    }
}

fn collect<'e>(expr: &'e Expr, found: &mut Vec<&'e Selector>) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Selector(selector) | ExprKind::Range(selector, _) => found.push(selector),
        ExprKind::Subquery(subquery) => collect(&subquery.expr, found),
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => collect(inner, found),
        ExprKind::Call(_, args) => args.iter().for_each(|arg| collect(arg, found)),
        ExprKind::Aggregate(aggregation) => {
            if let Some(param) = &aggregation.param {
                collect(param, found);
            }
            collect(&aggregation.expr, found);
        }
        ExprKind::Binary(binary) => {
            collect(&binary.left, found);
            collect(&binary.right, found);
        }
    }
}
