//! A parsed query that caches the series of its selectors.

use std::sync::{Arc, Mutex, PoisonError};

use super::syntax::{Expr, ParseError, ParseLimits, Selector, parse_numbered};
use crate::labels::Labels;
use crate::store::{SeriesId, StoreState};

/// The series that a selector selects.
pub(super) type Selected = Arc<[(SeriesId, Labels)]>;

/// A parsed query; see [`Engine::prepare`](super::Engine::prepare).
#[derive(Debug)]
pub struct Prepared {
    text: String,
    expr: Expr,
    selected: Mutex<Vec<Option<Cached>>>,
}

/// The series of a selector at a version of the store.
#[derive(Debug, Clone)]
struct Cached {
    version: (u64, u64),
    series: Selected,
}

impl Prepared {
    pub(super) fn new(text: &str, limits: &ParseLimits) -> Result<Self, ParseError> {
        let parsed = parse_numbered(text, limits)?;
        Ok(Self {
            text: text.to_owned(),
            expr: parsed.expr,
            selected: Mutex::new(vec![None; parsed.slots]),
        })
    }

    /// Returns the text of the query.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the syntax tree.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    pub(super) fn slots(&self) -> usize {
        self.selected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Returns the series that a selector selects, from the cache if the store has the same version.
    pub(super) fn select(&self, store: &StoreState, selector: &Selector) -> Selected {
        let mut slots = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        let version = store.version();
        if let Some(Some(cached)) = slots.get(selector.slot)
            && cached.version == version
        {
            return Arc::clone(&cached.series);
        }
        let found = store.select(&selector.matchers);
        let series: Selected = found
            .into_iter()
            .filter_map(|id| store.labels(id).map(|labels| (id, labels.clone())))
            .collect();
        if let Some(slot) = slots.get_mut(selector.slot) {
            let series = Arc::clone(&series);
            *slot = Some(Cached { version, series });
        }
        series
    }
}
