//! Serializes results as the JSON of Prometheus's HTTP API.

use serde::ser::{SerializeMap, SerializeSeq, SerializeTuple};
use serde::{Serialize, Serializer};

use super::error::QueryError;
use super::number::format_api_number;
use super::value::{QueryResult, RangeSeries, Value, VectorSample};
use crate::labels::Labels;
use crate::store::Point;

/// The body of an API response: `{"status":"success","data":{…}}` or `{"status":"error",…}`.
#[derive(Debug, Serialize)]
pub struct ApiResponse<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(rename = "errorType", skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    infos: &'a [String],
}

impl<'a> From<&'a Result<QueryResult, QueryError>> for ApiResponse<'a> {
    fn from(result: &'a Result<QueryResult, QueryError>) -> Self {
        let nothing = Self {
            status: "success",
            data: None,
            error_type: None,
            error: None,
            warnings: &[],
            infos: &[],
        };
        match result {
            Ok(result) => Self {
                data: Some(&result.value),
                warnings: &result.warnings,
                infos: &result.infos,
                ..nothing
            },
            Err(error) => Self {
                status: "error",
                error_type: Some(error.api_type()),
                error: Some(error.to_string()),
                ..nothing
            },
        }
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for label in self.iter() {
            map.serialize_entry(label.name(), label.value())?;
        }
        map.end()
    }
}

/// Serializes as `[1435781451.781, "1"]`.
impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        serialize_time(&mut pair, self.timestamp)?;
        pair.serialize_element(&format_api_number(self.value))?;
        pair.end()
    }
}

/// Serializes a time in seconds. Whole seconds have no fraction, as in Prometheus.
fn serialize_time<T: SerializeTuple>(pair: &mut T, timestamp: i64) -> Result<(), T::Error> {
    if timestamp % 1000 == 0 {
        return pair.serialize_element(&(timestamp / 1000));
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this era are exact in a float"
    )]
    pair.serialize_element(&(timestamp as f64 / 1000.0))
}

impl Serialize for VectorSample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("metric", &self.labels)?;
        map.serialize_entry("value", &self.point)?;
        map.end()
    }
}

impl Serialize for RangeSeries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("metric", &self.labels)?;
        map.serialize_entry("values", &self.points)?;
        map.end()
    }
}

struct StringValue<'a>(i64, &'a str);

impl Serialize for StringValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        serialize_time(&mut pair, self.0)?;
        pair.serialize_element(self.1)?;
        pair.end()
    }
}

struct ResultList<'a, T>(&'a [T]);

impl<T: Serialize> Serialize for ResultList<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        self.0
            .iter()
            .try_for_each(|item| list.serialize_element(item))?;
        list.end()
    }
}

/// Serializes as `{"resultType": "vector", "result": […]}`.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match self {
            Self::Scalar(point) => {
                map.serialize_entry("resultType", "scalar")?;
                map.serialize_entry("result", point)?;
            }
            Self::Vector(samples) => {
                map.serialize_entry("resultType", "vector")?;
                map.serialize_entry("result", &ResultList(samples))?;
            }
            Self::Matrix(series) => {
                map.serialize_entry("resultType", "matrix")?;
                map.serialize_entry("result", &ResultList(series))?;
            }
            Self::String(time, text) => {
                map.serialize_entry("resultType", "string")?;
                map.serialize_entry("result", &StringValue(*time, text))?;
            }
        }
        map.end()
    }
}
