//! The syntax tree of a query. Each node has checked types and its position in the text.

use std::fmt;

use super::functions::Function;
use crate::matcher::Matcher;

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// An instant vector: a sample of each series.
    Vector,
    /// A range vector: the samples of each series.
    Matrix,
    /// A string.
    String,
}

/// The bytes `start..end` of the query's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The index of the first byte.
    pub start: u32,
    /// The index after the last byte.
    pub end: u32,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// The kind of the node.
    pub kind: ExprKind,
    /// The position of the node.
    pub span: Span,
    /// The number of nodes on the longest path from this node to a leaf.
    pub(super) depth: u16,
}

/// The kinds of nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1f`, `Inf`, `5m`
    Number(f64),
    /// `"text"`
    String(String),
    /// `up{job="router"} offset 5m`
    Selector(Selector),
    /// `up[5m]`: the selector and the range in milliseconds.
    Range(Selector, i64),
    /// `rate(up[5m])[1h:1m]`
    Subquery(Box<Subquery>),
    /// `(…)`
    Paren(Box<Expr>),
    /// `-…`
    Negate(Box<Expr>),
    /// `rate(…)`
    Call(&'static Function, Vec<Expr>),
    /// `sum by (job) (…)`
    Aggregate(Box<Aggregation>),
    /// `… + …`
    Binary(Box<Binary>),
}

/// An instant selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The matchers, including the matcher of the metric name.
    pub matchers: Vec<Matcher>,
    /// `offset` and `@`.
    pub shift: TimeShift,
    /// `anchored` or `smoothed`.
    pub extension: Extension,
    /// The number of this selector within the query, the key of caches.
    pub(in crate::engine) slot: usize,
}

/// The treatment of samples outside the range of a selector, for values at the boundaries of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extension {
    /// No modifier: only samples inside the range count.
    #[default]
    None,
    /// `anchored`: the last sample before the range counts as the value at its start.
    Anchored,
    /// `smoothed`: values at the boundaries are interpolated between the samples around them.
    Smoothed,
}

/// `offset` and `@` of a selector or a subquery.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeShift {
    /// The offset into the past, in milliseconds. A negative offset reads ahead.
    pub offset: i64,
    /// The time after `@`.
    pub at: Option<At>,
}

/// The time after `@`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// `start()`
    Start,
    /// `end()`
    End,
}

/// A subquery: an expression evaluated at steps over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// The evaluated expression.
    pub expr: Expr,
    /// The range in milliseconds.
    pub range: i64,
    /// The milliseconds between two steps. `None` stands for the engine's default.
    pub step: Option<i64>,
    /// `offset` and `@`.
    pub shift: TimeShift,
    pub(in crate::engine) slot: usize,
}

/// The aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the operators of PromQL by their own names")]
pub enum AggregateOp {
    Avg,
    BottomK,
    Count,
    CountValues,
    Group,
    Max,
    Min,
    Quantile,
    StdDev,
    StdVar,
    Sum,
    TopK,
}

/// The labels after `by` or `without`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Grouping {
    /// True if the labels follow `without`.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// An aggregation such as `topk by (job) (3, …)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// The operator.
    pub op: AggregateOp,
    /// The parameter before the vector.
    pub param: Option<Expr>,
    /// The aggregated vector.
    pub expr: Expr,
    /// The labels that define the groups.
    pub grouping: Grouping,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the operators of PromQL by their own names")]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Atan2,
    Power,
}

/// The cardinality of a vector matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cardinality {
    /// One to one.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Many to many: the set operators.
    ManyToMany,
}

/// The matching of two vectors.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Matching {
    /// The cardinality.
    pub cardinality: Cardinality,
    /// True if only the listed labels must match (`on`), or all labels but the listed ones (`ignoring`).
    pub on: bool,
    /// The labels after `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels after `group_left` or `group_right`.
    pub include: Vec<String>,
}

/// A binary operator and its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub left: Expr,
    /// The right operand.
    pub right: Expr,
    /// True if a comparison gives 0 or 1 (`bool`) instead of filtering.
    pub returns_bool: bool,
    /// The vector matching.
    pub matching: Matching,
}

impl Expr {
    /// Returns the type of the expression's value.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range(..) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Paren(inner) | ExprKind::Negate(inner) => inner.value_type(),
            ExprKind::Call(function, _) => function.returns,
            ExprKind::Binary(binary) => {
                let is_scalar = |e: &Expr| e.value_type() == ValueType::Scalar;
                if is_scalar(&binary.left) && is_scalar(&binary.right) {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
        }
    }

    /// Returns the expression without enclosing parentheses.
    #[must_use]
    pub fn unwrap_parens(&self) -> &Self {
        match &self.kind {
            ExprKind::Paren(inner) => inner.unwrap_parens(),
            _ => self,
        }
    }
}

impl AggregateOp {
    pub(super) const ALL: [(&'static str, Self); 12] = [
        ("avg", Self::Avg),
        ("bottomk", Self::BottomK),
        ("count", Self::Count),
        ("count_values", Self::CountValues),
        ("group", Self::Group),
        ("max", Self::Max),
        ("min", Self::Min),
        ("quantile", Self::Quantile),
        ("stddev", Self::StdDev),
        ("stdvar", Self::StdVar),
        ("sum", Self::Sum),
        ("topk", Self::TopK),
    ];

    /// Returns the type of the parameter before the vector, or `None` for an operator without a parameter.
    #[must_use]
    pub fn param_type(self) -> Option<ValueType> {
        match self {
            Self::TopK | Self::BottomK | Self::Quantile => Some(ValueType::Scalar),
            Self::CountValues => Some(ValueType::String),
            Self::Avg
            | Self::Count
            | Self::Group
            | Self::Max
            | Self::Min
            | Self::StdDev
            | Self::StdVar
            | Self::Sum => None,
        }
    }
}

impl BinaryOp {
    const ALL: [(&'static str, Self); 16] = [
        ("or", Self::Or),
        ("and", Self::And),
        ("unless", Self::Unless),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        (">", Self::Greater),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        ("+", Self::Add),
        ("-", Self::Subtract),
        ("*", Self::Multiply),
        ("/", Self::Divide),
        ("%", Self::Modulo),
        ("atan2", Self::Atan2),
        ("^", Self::Power),
    ];

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let found = Self::ALL
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, op)| *op)
    }

    /// Returns the precedence of the operator. A higher precedence binds more tightly.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            op if op.is_comparison() => 3,
            Self::Add | Self::Subtract => 4,
            Self::Power => 6,
            _ => 5,
        }
    }

    /// Returns whether the operator is a comparison.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::GreaterOrEqual
                | Self::Less
                | Self::LessOrEqual
        )
    }

    /// Returns whether the operator is a set operator.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }
}

impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(_, op)| op == self);
        f.write_str(found.map_or("?", |(name, _)| name))
    }
}

impl fmt::Display for AggregateOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(_, op)| op == self);
        f.write_str(found.map_or("?", |(name, _)| name))
    }
}

/// Writes the modifier as in a query, or nothing without a modifier.
impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        })
    }
}

/// Writes the name of the type in error messages.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        })
    }
}
