//! Defines the panels: the single source of the page's charts, of the dashboards for Grafana, and of the documentation.
//!
//! A query has placeholders. `$P` stands for the prefix of the catalog's metrics, `$W` for the window of rates, `$O` for
//! an `offset` (a tile also shows its value one hour earlier), and `$S` for matchers of a selection, for example of one
//! model; `$S` may be empty.

mod alerts;
mod grafana;
mod models;
mod overview;
mod system;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub(super) use self::grafana::dashboard as grafana_dashboard;

/// A drawing that answers one question with the results of its queries.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Panel {
    pub(super) id: &'static str,
    pub(super) view: View,
    pub(super) title: &'static str,
    /// The question that the drawing answers.
    pub(super) question: &'static str,
    pub(super) unit: Unit,
    pub(super) draw: Draw,
    /// The number of the twelve columns of the page.
    pub(super) width: u8,
    pub(super) queries: &'static [Query],
    pub(super) thresholds: &'static [Threshold],
    /// The advice of an empty panel; may be empty.
    pub(super) empty: &'static str,
}

/// A query of a panel.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Query {
    /// The name of each series, with labels in double braces; the heading of a column of a table.
    pub(super) legend: &'static str,
    pub(super) expr: &'static str,
    /// The unit of a column that differs from the panel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<Unit>,
}

/// A value that a line marks.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Threshold {
    pub(super) label: &'static str,
    pub(super) value: f64,
}

/// The page that shows a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum View {
    Overview,
    Models,
    Alerts,
    System,
}

/// The kind of drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Draw {
    /// A number with its course, and the number one hour earlier.
    Tile,
    Lines,
    /// Lines whose areas are stacked.
    Stack,
    /// Cumulative buckets as a heat map.
    Heatmap,
    /// A row for each combination of labels, a column for each query.
    Table,
}

/// The unit of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Count,
    PerSecond,
    TokensPerSecond,
    Seconds,
    /// A share of a whole, `0.0..=1.0`.
    Ratio,
    Bytes,
    BytesPerSecond,
    Cores,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::Overview, Self::Models, Self::Alerts, Self::System];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Models => "models",
            Self::Alerts => "alerts",
            Self::System => "system",
        }
    }
}

impl Panel {
    const fn new(
        (view, draw): (View, Draw),
        id: &'static str,
        (title, question): (&'static str, &'static str),
        unit: Unit,
    ) -> Self {
        let width = match draw {
            Draw::Tile => 2,
            Draw::Table => 12,
            Draw::Lines | Draw::Stack | Draw::Heatmap => 6,
        };
        Self {
            id,
            view,
            title,
            question,
            unit,
            draw,
            width,
            queries: &[],
            thresholds: &[],
            empty: "",
        }
    }

    const fn queries(mut self, queries: &'static [Query]) -> Self {
        self.queries = queries;
        self
    }

    const fn width(mut self, columns: u8) -> Self {
        self.width = columns;
        self
    }

    const fn empty(mut self, advice: &'static str) -> Self {
        self.empty = advice;
        self
    }

    const fn thresholds(mut self, thresholds: &'static [Threshold]) -> Self {
        self.thresholds = thresholds;
        self
    }
}

const fn query(legend: &'static str, expr: &'static str) -> Query {
    Query {
        legend,
        expr,
        unit: None,
    }
}

const fn column(legend: &'static str, unit: Unit, expr: &'static str) -> Query {
    Query {
        legend,
        expr,
        unit: Some(unit),
    }
}

/// Returns every panel, in the order of the page.
pub(super) fn all() -> impl Iterator<Item = &'static Panel> {
    [
        overview::PANELS,
        models::PANELS,
        alerts::PANELS,
        system::PANELS,
    ]
    .into_iter()
    .flatten()
}

/// Replaces the placeholders of a query.
pub(super) fn fill(expr: &str, prefix: &str, window: &str, selection: &str) -> String {
    expr.replace("$P", prefix)
        .replace("$W", window)
        .replace("$O", "")
        .replace("$S", selection)
}
