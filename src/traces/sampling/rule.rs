//! Shares for some traces, by the name and the fields of their first span.

use std::fmt;

use tracing::{
    field::{Field, Visit},
    span::Attributes,
};

use super::Ratio;
use crate::{config::SamplingRule, traces::pattern::Pattern};

/// A share for traces whose first span matches.
#[derive(Debug)]
pub(super) struct Rule {
    span: Option<Pattern>,
    route: Option<Pattern>,
    model: Option<Pattern>,
    ratio: Ratio,
}

impl Rule {
    pub(super) fn new(rule: &SamplingRule) -> Self {
        let pattern = |text: &Option<String>| text.as_deref().map(Pattern::new);
        Self {
            span: pattern(&rule.span),
            route: pattern(&rule.route),
            model: pattern(&rule.model),
            ratio: Ratio::new(rule.ratio),
        }
    }

    fn matches(&self, span: &str, found: &Found) -> bool {
        let meets = |pattern: &Option<Pattern>, value: Option<&str>| match (pattern, value) {
            (None, _) => true,
            (Some(pattern), Some(value)) => pattern.matches(value),
            (Some(_), None) => false,
        };
        meets(&self.span, Some(span))
            && meets(&self.route, found.route.as_deref())
            && meets(&self.model, found.model.as_deref())
    }
}

/// The share of the first rule that matches.
pub(super) fn first_match(rules: &[Rule], attributes: &Attributes<'_>) -> Option<Ratio> {
    let mut found = Found::default();
    attributes.record(&mut found);
    let name = attributes.metadata().name();
    let rule = rules.iter().find(|rule| rule.matches(name, &found))?;
    Some(rule.ratio)
}

/// What rules ask of a span.
#[derive(Default)]
struct Found {
    route: Option<String>,
    model: Option<String>,
}

impl Found {
    fn place(&mut self, field: &Field) -> Option<&mut Option<String>> {
        match field.name() {
            "http.route" | "route" | "url.path" => Some(&mut self.route),
            "model_id" | "gen_ai.request.model" => Some(&mut self.model),
            _ => None,
        }
    }
}

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(place) = self.place(field) {
            place.get_or_insert_with(|| value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(place) = self.place(field) {
            // `%value` prints as it displays; `?"text"` with quotes.
            place.get_or_insert_with(|| format!("{value:?}").trim_matches('"').to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = [
            Rule::new(&SamplingRule::new(0.0).with_route("/health*")),
            Rule::new(
                &SamplingRule::new(1.0)
                    .with_model("gpt-4o")
                    .with_span("chat"),
            ),
        ];
        let of = |span: &str, route: Option<&str>, model: Option<&str>| {
            let found = Found {
                route: route.map(str::to_owned),
                model: model.map(str::to_owned),
            };
            rules
                .iter()
                .find(|rule| rule.matches(span, &found))
                .map(|rule| rule.ratio)
        };
        assert_eq!(of("GET", Some("/health/live"), None), Some(Ratio::new(0.0)));
        assert_eq!(of("chat", None, Some("gpt-4o")), Some(Ratio::new(1.0)));
        assert_eq!(of("chat", None, Some("gpt-4o-mini")), None);
        assert_eq!(of("chat", Some("/v1/chat"), None), None);
    }
}
