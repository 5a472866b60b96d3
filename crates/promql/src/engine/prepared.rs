//! A query that was read once, and remembers which series its selectors matched.

use std::sync::{Arc, Mutex, PoisonError};

use super::syntax::{Expr, ParseError, ParseLimits, Selector, parse_numbered};
use crate::labels::Labels;
use crate::store::{Inner, SeriesId};

/// A series that a selector matched.
pub(super) type Selected = Arc<[(SeriesId, Labels)]>;

/// A query that has been read; see [`Engine::prepare`](super::Engine::prepare).
#[derive(Debug)]
pub struct Prepared {
    text: String,
    expr: Expr,
    selected: Mutex<Vec<Option<Cached>>>,
}

/// The series of one selector as of one version of the store.
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

    /// Returns the text as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the tree.
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

    /// Returns the series that a selector matches, from memory where the store has not changed.
    pub(super) fn select(&self, store: &Inner, selector: &Selector) -> Selected {
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
