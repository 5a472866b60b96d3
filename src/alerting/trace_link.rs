//! What alerts say of the traces behind them.

use std::{collections::BTreeMap, fmt};

use crate::query::{Labels, Matcher, exemplars::Times};

/// The placeholder for the id of a trace in the template of an address.
pub(crate) const TRACE_ID: &str = "{trace_id}";

/// Returns the address of a trace, by a template such as [`AlertingConfig::trace_url`](super::AlertingConfig::trace_url).
pub(crate) fn trace_url(template: &str, trace_id: u128) -> String {
    template.replace(TRACE_ID, &format!("{trace_id:032x}"))
}

/// Alerts of one rule that are looked up in one round, at most: a storm's first ones tell what there is to tell.
pub(crate) const MOST: usize = 100;

/// How an alert names its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceLink {
    /// The address of a trace, with a placeholder where its id goes.
    pub(crate) template: Option<String>,
}

impl TraceLink {
    /// Adds `trace_id`, and `trace_url` where there is an address; what is there already stays.
    pub(crate) fn annotate(&self, annotations: &mut BTreeMap<String, String>, trace_id: u128) {
        let url = self.template.as_deref();
        let pairs = [
            ("trace_id", Some(format!("{trace_id:032x}"))),
            ("trace_url", url.map(|url| trace_url(url, trace_id))),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                annotations.entry(name.to_owned()).or_insert(value);
            }
        }
    }
}

/// Finds the trace that tells most about an alert: by the matchers of a selector of its rule, and its labels.
pub(crate) type FindTrace<'a> = dyn Fn(&[Matcher], &Labels, &Times) -> Option<u128> + 'a;

/// Where alerts of rules get their traces from.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) find: &'a FindTrace<'a>,
    pub(crate) link: &'a TraceLink,
}

impl fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").finish_non_exhaustive()
    }
}
