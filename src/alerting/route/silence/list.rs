//! Stores the silences of the process.

use std::collections::BTreeMap;

use super::{MAX_SILENCES, RETENTION, Silence, SilenceError, SilenceRequest, SilenceState};
use crate::{
    alerting::route::{inhibit::matches_all, parse_matchers},
    query::{Labels, Matcher},
    runtime::unix_ms::{UnixMs, shift_ms},
};

/// All silences, with parsed matchers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Silences {
    by_id: BTreeMap<String, (Silence, Vec<Matcher>)>,
}

impl Silences {
    /// Restores silences that [`Silences::list`] returned; a silence with invalid matchers is dropped.
    pub(crate) fn restore(silences: impl IntoIterator<Item = Silence>) -> Self {
        let by_id = silences
            .into_iter()
            .filter_map(|silence| {
                let matchers = compile(&silence.matchers).ok()?;
                Some((silence.id.clone(), (silence, matchers)))
            })
            .collect();
        Self { by_id }
    }

    /// Adds a silence from another list, unless its id exists or its matchers are invalid; returns whether it was
    /// added.
    pub(crate) fn insert_if_absent(&mut self, silence: Silence) -> bool {
        let Ok(matchers) = compile(&silence.matchers) else {
            return false;
        };
        let entry = self.by_id.entry(silence.id.clone());
        let is_new = matches!(entry, std::collections::btree_map::Entry::Vacant(_));
        entry.or_insert((silence, matchers));
        is_new
    }

    /// Creates or changes a silence; returns its id, which is `new_id` unless the existing silence was changed in
    /// place.
    ///
    /// # Errors
    /// When the request is incomplete, names an unknown silence, or the number of silences has reached the limit.
    pub(crate) fn set(
        &mut self,
        request: SilenceRequest,
        new_id: String,
        now: UnixMs,
    ) -> Result<String, SilenceError> {
        let matchers = check(&request, now)?;
        let mut silence = Silence {
            id: new_id,
            matchers: request.matchers,
            starts_at: request.starts_at,
            ends_at: request.ends_at,
            updated_at: now.as_i64(),
            created_by: request.created_by,
            comment: request.comment,
        };
        if let Some(id) = request.id {
            let (old, _) = self
                .by_id
                .get(&id)
                .ok_or_else(|| SilenceError::NotFound(id.clone()))?;
            if can_change_in_place(old, &silence, now) {
                silence.id = id;
                let id = silence.id.clone();
                self.by_id.insert(id.clone(), (silence, matchers));
                return Ok(id);
            }
            if old.state_at(now.as_i64()) != SilenceState::Expired {
                self.expire(&id, now)?;
            }
        }
        if self.by_id.len() >= MAX_SILENCES {
            return Err(SilenceError::TooMany);
        }
        silence.starts_at = silence.starts_at.max(now.as_i64());
        let id = silence.id.clone();
        self.by_id.insert(id.clone(), (silence, matchers));
        Ok(id)
    }

    /// Keeps the states of silences over a step of the wall clock backwards, before which the time was `before`: a
    /// silence that has started stays started, and a silence that has ended stays ended. An active silence keeps its
    /// end, and a step forwards changes no silence, because their times are times of the wall clock.
    pub(crate) fn shift(&mut self, by_ms: i64, before: UnixMs) {
        for (silence, _) in self.by_id.values_mut().filter(|_| by_ms < 0) {
            let state = silence.state_at(before.as_i64());
            if state != SilenceState::Pending {
                shift_ms(&mut silence.starts_at, by_ms);
            }
            if state == SilenceState::Expired {
                shift_ms(&mut silence.ends_at, by_ms);
            }
        }
    }

    /// Expires a silence now.
    ///
    /// # Errors
    /// When the id is unknown, or the silence has ended already.
    pub(crate) fn expire(&mut self, id: &str, now: UnixMs) -> Result<(), SilenceError> {
        let (silence, _) = self
            .by_id
            .get_mut(id)
            .ok_or_else(|| SilenceError::NotFound(id.to_owned()))?;
        match silence.state_at(now.as_i64()) {
            SilenceState::Expired => return Err(SilenceError::Expired(id.to_owned())),
            SilenceState::Pending => silence.starts_at = now.as_i64(),
            SilenceState::Active => {}
        }
        silence.ends_at = now.as_i64();
        silence.updated_at = now.as_i64();
        Ok(())
    }

    /// Returns the silence with this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Silence> {
        self.by_id.get(id).map(|(silence, _)| silence)
    }

    /// Returns all silences: active, then pending, then expired.
    pub(crate) fn list(&self, now: UnixMs) -> Vec<Silence> {
        let mut silences: Vec<_> = self
            .by_id
            .values()
            .map(|(silence, _)| silence.clone())
            .collect();
        silences.sort_by_key(|silence| match silence.state_at(now.as_i64()) {
            SilenceState::Active => (0, silence.ends_at),
            SilenceState::Pending => (1, silence.starts_at),
            SilenceState::Expired => (2, -silence.ends_at),
        });
        silences
    }

    /// Returns the id of the silence that suppresses this label set at `now`.
    pub(crate) fn silenced_by(&self, labels: &Labels, now: UnixMs) -> Option<&str> {
        let active = |silence: &Silence| silence.state_at(now.as_i64()) == SilenceState::Active;
        self.by_id
            .values()
            .find(|(silence, matchers)| active(silence) && matches_all(matchers, labels))
            .map(|(silence, _)| silence.id.as_str())
    }

    /// Returns the matchers of the silences that are active at `now`, for checking many label sets.
    pub(crate) fn active_at(&self, now: UnixMs) -> Vec<&[Matcher]> {
        let active = self.by_id.values();
        active
            .filter(|(silence, _)| silence.state_at(now.as_i64()) == SilenceState::Active)
            .map(|(_, matchers)| matchers.as_slice())
            .collect()
    }

    /// Removes the silences that ended longer ago than the retention; returns their ids.
    pub(crate) fn collect_garbage(&mut self, now: UnixMs) -> Vec<String> {
        let is_old =
            |silence: &Silence| now.saturating_since(UnixMs::from_i64(silence.ends_at)) > RETENTION;
        let old: Vec<String> = self
            .by_id
            .values()
            .filter(|(silence, _)| is_old(silence))
            .map(|(silence, _)| silence.id.clone())
            .collect();
        for id in &old {
            self.by_id.remove(id);
        }
        old
    }
}

fn compile(texts: &[String]) -> Result<Vec<Matcher>, SilenceError> {
    let mut matchers = Vec::new();
    for text in texts {
        matchers.extend(parse_matchers(text)?);
    }
    Ok(matchers)
}

fn check(request: &SilenceRequest, now: UnixMs) -> Result<Vec<Matcher>, SilenceError> {
    let matchers = compile(&request.matchers)?;
    if matchers.iter().all(|matcher| matcher.is_match("")) {
        return Err(SilenceError::MatchesEverything);
    }
    if request.created_by.is_empty() {
        return Err(SilenceError::Empty("created_by"));
    }
    if request.comment.is_empty() {
        return Err(SilenceError::Empty("comment"));
    }
    if request.ends_at <= request.starts_at || request.ends_at <= now.as_i64() {
        return Err(SilenceError::EndsTooEarly);
    }
    Ok(matchers)
}

/// Applies Alertmanager's rule for changes in place.
fn can_change_in_place(old: &Silence, new: &Silence, now: UnixMs) -> bool {
    old.matchers == new.matchers
        && match old.state_at(now.as_i64()) {
            SilenceState::Active => new.starts_at == old.starts_at && new.ends_at >= now.as_i64(),
            SilenceState::Pending => new.starts_at >= now.as_i64(),
            SilenceState::Expired => false,
        }
}
