//! The results of queries.

use crate::labels::Labels;
use crate::store::Point;

/// The result of a query with its annotations.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// Probable errors in the query or the data.
    pub warnings: Vec<String>,
    /// Possible errors in the query or the data.
    pub infos: Vec<String>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number and its time.
    Scalar(Point),
    /// A sample of each series.
    Vector(Vec<VectorSample>),
    /// The samples of each series.
    Matrix(Vec<RangeSeries>),
    /// A time and a string.
    String(i64, String),
}

/// A series and a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The labels.
    pub labels: Labels,
    /// The sample.
    pub point: Point,
}

/// A series and its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// The labels.
    pub labels: Labels,
    /// The samples, in the order of their times.
    pub points: Vec<Point>,
}
