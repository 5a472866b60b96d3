//! Reads the samples of selectors and subqueries: the last sample at a time, or all samples of a range.
//!
//! A range is open on the left, as in Prometheus 3; an option closes it, for comparisons with Prometheus 2. The store is
//! locked for one selector at a time.

use super::{Evaluator, Range, Step, extended};
use crate::engine::error::{QueryError, execution};
use crate::engine::syntax::{At, Expr, ExprKind, Extension, Selector, Subquery, TimeShift};
use crate::engine::value::RangeSeries;
use crate::labels::Labels;
use crate::store::{Point, is_stale};

/// The samples of a selector or subquery for the ranges of several steps.
#[derive(Debug)]
pub(super) struct LoadedSamples {
    from: i64,
    to: i64,
    series: Vec<RangeSeries>,
}

/// A range of samples, in milliseconds: after `start` and up to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start: i64,
    pub(super) end: i64,
    /// True if samples at `start` belong to the range, as in Prometheus 2.
    pub(super) is_left_closed: bool,
    /// The modifier of the selector. An extended range comes with samples from outside its boundaries.
    pub(super) extension: Extension,
}

/// The first and the last time at which samples are read, in milliseconds.
type Reach = (i64, i64);

/// Receives each series with the samples of a range, at least one, and returns the number of samples that the receiver
/// holds for the rest of the step.
type EachWindow<'e> = &'e mut dyn FnMut(&Labels, &[Point], Window) -> Result<usize, QueryError>;

impl Evaluator<'_> {
    /// Returns the end of a selector's range at a step.
    fn shifted(&self, time: i64, shift: TimeShift) -> i64 {
        let time = match shift.at {
            None => time,
            Some(At::Timestamp(timestamp)) => timestamp,
            Some(At::Start) => self.range.start,
            Some(At::End) => self.range.end,
        };
        time.saturating_sub(shift.offset)
    }

    /// Returns the first time in a range that begins at `start`.
    fn first_in(&self, start: i64) -> i64 {
        start.saturating_add(i64::from(!self.options.left_closed_ranges))
    }

    fn window(&self, start: i64, end: i64) -> Window {
        Window {
            start,
            end,
            is_left_closed: self.options.left_closed_ranges,
            extension: Extension::None,
        }
    }

    fn lookback(&self) -> i64 {
        i64::try_from(self.options.lookback.as_millis()).unwrap_or(i64::MAX)
    }

    /// Returns the milliseconds before the start and after the end of a range in which samples are read.
    fn margins(&self, extension: Extension) -> (i64, i64) {
        match extension {
            Extension::None => (0, 0),
            Extension::Anchored => (self.lookback(), 0),
            Extension::Smoothed => (self.lookback(), self.lookback()),
        }
    }

    pub(super) fn for_each_latest(
        &mut self,
        selector: &Selector,
        step: Step,
        each: &mut dyn FnMut(&Labels, Point),
    ) -> Result<(), QueryError> {
        let lookback = self.lookback();
        let end = self.shifted(step.time, selector.shift);
        let from = self.first_in(end.saturating_sub(lookback));
        let mut count = 0;
        if step.first == step.last {
            let store = self.store.read();
            let selected = self.prepared.select(&store, selector);
            for (id, labels) in selected.iter() {
                if let Some(point) = store.latest(*id, from, end) {
                    each(labels, point);
                    count += 1;
                }
            }
            drop(store);
            return self.budget.hold(count);
        }
        self.load_selector(selector, step, (lookback, 0))?;
        if let Some(Some(loaded)) = self.loaded.get(selector.slot) {
            for series in &loaded.series {
                let after = series
                    .points
                    .partition_point(|point| point.timestamp <= end);
                let last = after.checked_sub(1).map(|at| series.points[at]);
                if let Some(point) = last.filter(|p| p.timestamp >= from && !is_stale(p.value)) {
                    each(&series.labels, point);
                    count += 1;
                }
            }
        }
        self.budget.hold(count)
    }

    /// Calls `each` with the value of each series of a smoothed instant selector.
    pub(super) fn for_each_smoothed(
        &mut self,
        selector: &Selector,
        step: Step,
        each: &mut dyn FnMut(&Labels, f64),
    ) -> Result<(), QueryError> {
        let time = self.shifted(step.time, selector.shift);
        let mut window = self.window(time, time);
        window.extension = Extension::Smoothed;
        self.windows_of_selector((selector, window), step, &mut |labels, points, _| {
            let value = extended::smoothed_value(points, time);
            if let Some(value) = value {
                each(labels, value);
            }
            Ok(usize::from(value.is_some()))
        })
    }

    /// Calls `each` with the samples of each series in the range of an expression.
    pub(super) fn for_each_window(
        &mut self,
        expr: &Expr,
        step: Step,
        each: EachWindow<'_>,
    ) -> Result<(), QueryError> {
        match &expr.unwrap_parens().kind {
            ExprKind::Range(selector, range) => {
                let end = self.shifted(step.time, selector.shift);
                let mut window = self.window(end.saturating_sub(*range), end);
                window.extension = selector.extension;
                self.windows_of_selector((selector, window), step, each)
            }
            ExprKind::Subquery(subquery) => {
                let end = self.shifted(step.time, subquery.shift);
                let start = end.saturating_sub(subquery.range);
                self.load_subquery(subquery, step)?;
                let reach = (self.first_in(start), end);
                self.slice(subquery.slot, (self.window(start, end), reach), each)
            }
            _ => Err(execution("a range vector was expected")),
        }
    }

    fn windows_of_selector(
        &mut self,
        (selector, window): (&Selector, Window),
        step: Step,
        each: EachWindow<'_>,
    ) -> Result<(), QueryError> {
        let (before, after) = self.margins(window.extension);
        let from = self.first_in(window.start.saturating_sub(before));
        let to = window.end.saturating_add(after);
        if step.first != step.last {
            let range = window.end.saturating_sub(window.start);
            let margins = (range.saturating_add(before), after);
            self.load_selector(selector, step, margins)?;
            return self.slice(selector.slot, (window, (from, to)), each);
        }
        let store = self.store.read();
        let selected = self.prepared.select(&store, selector);
        let mut points = Vec::new();
        for (id, labels) in selected.iter() {
            store.window(*id, (from, to), &mut points);
            self.budget.hold(points.len())?;
            if !points.is_empty() {
                let held = each(labels, &points, window)?;
                self.budget.release(points.len());
                self.budget.hold(held)?;
            }
        }
        Ok(())
    }

    fn slice(
        &mut self,
        slot: usize,
        (window, (from, to)): (Window, Reach),
        each: EachWindow<'_>,
    ) -> Result<(), QueryError> {
        let Some(Some(loaded)) = self.loaded.get(slot) else {
            return Ok(());
        };
        let mut clean = Vec::new();
        for series in &loaded.series {
            let first = series
                .points
                .partition_point(|point| point.timestamp < from);
            let after = series.points.partition_point(|point| point.timestamp <= to);
            let Some(mut points) = series.points.get(first..after) else {
                continue;
            };
            if points.iter().any(|point| is_stale(point.value)) {
                clean.clear();
                clean.extend(points.iter().filter(|point| !is_stale(point.value)));
                points = &clean;
            }
            self.budget.work(points.len())?;
            if !points.is_empty() {
                let held = each(&series.labels, points, window)?;
                self.budget.hold(held)?;
            }
        }
        Ok(())
    }

    /// Loads the samples of a selector for all steps that share them, with stale markers.
    fn load_selector(
        &mut self,
        selector: &Selector,
        step: Step,
        (back, ahead): (i64, i64),
    ) -> Result<(), QueryError> {
        let first = self.shifted(step.first, selector.shift);
        let from = self.first_in(first.saturating_sub(back));
        let last = self.shifted(step.last, selector.shift);
        let to = last.saturating_add(ahead);
        if self.has_loaded(selector.slot, from, to) {
            return Ok(());
        }
        self.unload(selector.slot);
        let store = self.store.read();
        let selected = self.prepared.select(&store, selector);
        let mut series = Vec::with_capacity(selected.len());
        for (id, labels) in selected.iter() {
            let mut points = Vec::new();
            store.window_with_stale(*id, (from, to), &mut points);
            self.budget.keep(points.len())?;
            if !points.is_empty() {
                let labels = labels.clone();
                series.push(RangeSeries { labels, points });
            }
        }
        drop(store);
        self.keep(selector.slot, LoadedSamples { from, to, series });
        Ok(())
    }

    fn load_subquery(&mut self, subquery: &Subquery, step: Step) -> Result<(), QueryError> {
        let first = self.shifted(step.first, subquery.shift);
        let to = self.shifted(step.last, subquery.shift);
        let start = first.saturating_sub(subquery.range);
        if self.has_loaded(subquery.slot, start, to) {
            return Ok(());
        }
        self.unload(subquery.slot);
        let default = i64::try_from(self.options.subquery_step.as_millis()).unwrap_or(i64::MAX);
        let interval = subquery.step.unwrap_or(default).max(1);
        // Steps are multiples of the interval since the epoch, so that they do not depend on the query's time.
        let mut aligned = start / interval * interval;
        if aligned < self.first_in(start) {
            aligned = aligned.saturating_add(interval);
        }
        let range = Range {
            start: aligned,
            end: to,
            step: interval,
        };
        let series = if aligned > to {
            Vec::new()
        } else {
            self.over_steps_inside(&subquery.expr, range)?
        };
        let from = start;
        self.keep(subquery.slot, LoadedSamples { from, to, series });
        Ok(())
    }

    /// Evaluates the steps of a subquery. A subquery with more steps than samples that the run may still hold is refused
    /// before its first step: `nothing[1y:1ms]` reads no sample and takes hours.
    fn over_steps_inside(
        &mut self,
        expr: &Expr,
        range: Range,
    ) -> Result<Vec<RangeSeries>, QueryError> {
        let steps = range.end.saturating_sub(range.start) / range.step;
        self.budget
            .check_samples(u64::try_from(steps).unwrap_or(u64::MAX))?;
        self.over_steps(expr, range)
    }

    fn has_loaded(&self, slot: usize, from: i64, to: i64) -> bool {
        let loaded = self.loaded.get(slot).and_then(Option::as_ref);
        loaded.is_some_and(|loaded| loaded.from == from && loaded.to == to)
    }

    /// Removes the samples that were loaded for other steps.
    fn unload(&mut self, slot: usize) {
        if let Some(old) = self.loaded.get_mut(slot).and_then(Option::take) {
            let samples = old.series.iter().map(|series| series.points.len()).sum();
            self.budget.forget(samples);
        }
    }

    fn keep(&mut self, slot: usize, loaded: LoadedSamples) {
        if let Some(place) = self.loaded.get_mut(slot) {
            *place = Some(loaded);
        }
    }
}
