//! The results of queries.

use crate::labels::Labels;
use crate::store::Point;

/// The result of a query with what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// What is probably wrong with the query or the data.
    pub warnings: Vec<String>,
    /// What may be wrong.
    pub infos: Vec<String>,
}

/// What a query evaluates to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number and its time.
    Scalar(Point),
    /// One sample for each series.
    Vector(Vec<VectorSample>),
    /// Many samples for each series.
    Matrix(Vec<RangeSeries>),
    /// A text and the time it was asked for.
    String(i64, String),
}

/// A series and one sample of it.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The labels.
    pub labels: Labels,
    /// The sample.
    pub point: Point,
}

/// A series and samples of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// The labels.
    pub labels: Labels,
    /// The samples, in the order of their times.
    pub points: Vec<Point>,
}
