//! The tree of a query. Every node has been type-checked and carries the place it was read from.

use std::fmt;

use super::functions::Function;
use crate::matcher::Matcher;

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// One sample for each of many series.
    Vector,
    /// Many samples for each of many series.
    Matrix,
    /// A text.
    String,
}

/// Bytes `start..end` of the query's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What the node is.
    pub kind: ExprKind,
    /// Where it was read.
    pub span: Span,
    /// Nodes on the longest way down, this one included.
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

/// Which series, and how far back.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The conditions, that on the name included.
    pub matchers: Vec<Matcher>,
    /// `offset` and `@`.
    pub shift: TimeShift,
    /// `anchored` or `smoothed`.
    pub extension: Extension,
    /// The number of this selector within the query, for caches.
    pub(in crate::engine) slot: usize,
}

/// How a selector reads samples outside its range, for values at the boundaries of the range.
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
    /// Milliseconds into the past; negative looks ahead.
    pub offset: i64,
    /// The fixed time, if there is one.
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

/// An expression evaluated again and again over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// Milliseconds.
    pub range: i64,
    /// Milliseconds between two evaluations; `None` takes the engine's default.
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

/// `by` or `without`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Grouping {
    /// `without`: the labels are those that go.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// `topk by (job) (3, …)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// Which operator.
    pub op: AggregateOp,
    /// The number or text before the vector.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// Into which groups.
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

/// How many on the left go with how many on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cardinality {
    /// One to one.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// The set operators.
    ManyToMany,
}

/// How two vectors are matched.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Matching {
    /// How many go with how many.
    pub cardinality: Cardinality,
    /// `on`: only these labels count; else all but these.
    pub on: bool,
    /// The labels after `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels after `group_left` or `group_right`.
    pub include: Vec<String>,
}

/// Two expressions and an operator between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left-hand side.
    pub left: Expr,
    /// The right-hand side.
    pub right: Expr,
    /// `bool`: comparisons give 0 or 1 and filter nothing.
    pub returns_bool: bool,
    /// How vectors are matched.
    pub matching: Matching,
}

impl Expr {
    /// Returns what the expression evaluates to.
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

    /// Returns the expression inside any parentheses.
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

    /// Returns the type of the parameter before the vector, if the operator takes one.
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

    /// Returns how tightly the operator binds; more is tighter.
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

    /// Returns whether the operator compares.
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

    /// Returns whether the operator works on sets of series.
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

/// The modifier as a query writes it; nothing without a modifier.
impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        })
    }
}

/// As error messages name the types.
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
