//! Checks the types of each node, with Prometheus's error messages.

use super::ast::{Aggregation, Binary, BinaryOp, Cardinality, Expr, ExprKind, Span, ValueType};
use super::error::PositionedError;
use super::functions::Function;

pub(super) fn depth_of_children(kind: &ExprKind) -> u16 {
    match kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Range(..) => {
            0
        }
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => inner.depth,
        ExprKind::Subquery(subquery) => subquery.expr.depth,
        ExprKind::Call(_, args) => args.iter().map(|arg| arg.depth).max().unwrap_or(0),
        ExprKind::Aggregate(a) => a.expr.depth.max(a.param.as_ref().map_or(0, |p| p.depth)),
        ExprKind::Binary(binary) => binary.left.depth.max(binary.right.depth),
    }
}

pub(super) fn check(kind: &ExprKind, span: Span) -> Result<(), PositionedError> {
    match kind {
        ExprKind::Call(function, args) => check_call(function, args, span),
        ExprKind::Aggregate(aggregation) => check_aggregation(aggregation),
        ExprKind::Binary(binary) => check_binary(binary, span),
        _ => Ok(()),
    }
}

pub(super) fn check_unary(operand: &Expr, sign_at: u32) -> Result<(), PositionedError> {
    match operand.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        other => Err(PositionedError::at(
            sign_at,
            format!(
                "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                other.to_string()
            ),
        )),
    }
}

fn expect(expr: &Expr, wanted: ValueType, context: &str) -> Result<(), PositionedError> {
    let got = expr.value_type();
    if got == wanted {
        return Ok(());
    }
    Err(PositionedError::over(
        expr.span,
        format!("expected type {wanted} in {context}, got {got}"),
    ))
}

fn check_call(function: &Function, args: &[Expr], span: Span) -> Result<(), PositionedError> {
    let (wanted, got, name) = (function.args.len(), args.len(), function.name);
    let fault = |what: String| {
        Err(PositionedError::over(
            span,
            format!("expected {what} argument(s) in call to {name:?}, got {got}"),
        ))
    };
    match function.optional {
        Some(0) if got != wanted => return fault(wanted.to_string()),
        Some(optional) if got < wanted - optional => {
            return fault(format!("at least {}", wanted - optional));
        }
        Some(_) if got > wanted => return fault(format!("at most {wanted}")),
        // The last argument is repeatable, and optional.
        None if got + 1 < wanted => return fault(format!("at least {}", wanted - 1)),
        _ => {}
    }
    for (at, arg) in args.iter().enumerate() {
        let wanted = function.args.get(at).or(function.args.last());
        if let Some(wanted) = wanted {
            expect(arg, *wanted, &format!("call to function {name:?}"))?;
        }
    }
    Ok(())
}

fn check_aggregation(aggregation: &Aggregation) -> Result<(), PositionedError> {
    expect(
        &aggregation.expr,
        ValueType::Vector,
        "aggregation expression",
    )?;
    match (&aggregation.param, aggregation.op.param_type()) {
        (Some(param), Some(wanted)) => expect(param, wanted, "aggregation parameter"),
        _ => Ok(()),
    }
}

/// Checks a comparison. The error has the operator's position.
pub(super) fn check_comparison(
    op: BinaryOp,
    returns_bool: bool,
    (left, right): (&Expr, &Expr),
) -> Result<(), &'static str> {
    let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
    if op.is_comparison() && !returns_bool && is_scalar(left) && is_scalar(right) {
        return Err("comparisons between scalars must use BOOL modifier");
    }
    Ok(())
}

fn check_binary(binary: &Binary, span: Span) -> Result<(), PositionedError> {
    let Binary {
        op,
        left,
        right,
        matching,
        ..
    } = binary;
    let fault = |message: &str| Err(PositionedError::over(span, message));
    for side in [left, right] {
        if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err(PositionedError::over(side.span, message));
        }
    }
    let scalars = [left, right]
        .iter()
        .filter(|side| side.value_type() == ValueType::Scalar)
        .count();
    if scalars > 0 {
        let has_grouping = !matches!(
            matching.cardinality,
            Cardinality::OneToOne | Cardinality::ManyToMany
        );
        if matching.on || !matching.labels.is_empty() || has_grouping {
            return fault("vector matching only allowed between instant vectors");
        }
        if matches!(op, BinaryOp::Or | BinaryOp::And | BinaryOp::Unless) {
            return fault(&format!(
                "set operator \"{op}\" not allowed in binary scalar expression"
            ));
        }
    }
    Ok(())
}
