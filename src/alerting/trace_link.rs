//! Links alerts to traces by the annotations `trace_id` and `trace_url`.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use crate::query::{Labels, Matcher};

/// The placeholder for the trace id in a URL template.
pub(crate) const TRACE_ID: &str = "{trace_id}";

/// Returns the URL of a trace, from a template such as [`AlertingConfig::trace_url`](super::AlertingConfig::trace_url).
pub(crate) fn trace_url(template: &str, trace_id: u128) -> String {
    template.replace(TRACE_ID, &format!("{trace_id:032x}"))
}

/// Maximum number of alerts per rule and evaluation for which a trace is looked up. It bounds the cost of an alert
/// storm, in which the first alerts link to the same cause as the rest.
pub(crate) const MAX_TRACE_LOOKUPS: usize = 100;

/// Adds the annotations that link an alert to its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceLink {
    /// The template of a trace's URL, with the placeholder for the trace id.
    pub(crate) template: Option<String>,
}

impl TraceLink {
    /// Adds `trace_id`, and `trace_url` if there is a template; existing annotations are kept.
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

/// Finds the most significant trace behind an alert, by the matchers of a selector of its rule, its labels, and a time
/// range in milliseconds since the Unix epoch.
pub(crate) type FindTrace<'a> =
    dyn Fn(&[Matcher], &Labels, &RangeInclusive<i64>) -> Option<u128> + 'a;

/// Finds traces for the alerts of rules, and links to them.
#[derive(Clone, Copy)]
pub(crate) struct TraceLookup<'a> {
    pub(crate) find: &'a FindTrace<'a>,
    pub(crate) link: &'a TraceLink,
}

impl fmt::Debug for TraceLookup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceLookup").finish_non_exhaustive()
    }
}
