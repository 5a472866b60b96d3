//! The form for whoever wants no tree: each rule says which channels it goes to.

use std::time::Duration;

use super::{Escalation, Receiver, Route, Routing};

/// What a rule says about its own notifications.
///
/// Rules with the same aggregation key, channels, window and escalation become one group: one message for all of
/// them. A rule without a key is a group by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimpleRule {
    /// The rule's id, which is the label `alertname` of its alerts.
    pub rule: String,
    /// The channels that are told at once.
    pub channels: Vec<String>,
    /// Rules with the same key are told of together.
    pub aggregation_key: Option<String>,
    /// Labels whose values tell groups apart. Default: none, one group.
    pub group_by: Vec<String>,
    /// Time between two messages about one group. The first message does not wait for it: it goes out after
    /// Alertmanager's 30 s, or after the window where that is shorter. Default: 5 min.
    pub aggregation_window: Duration,
    /// Who is told when nobody acknowledges.
    pub escalation: Option<Escalation>,
}

impl SimpleRule {
    /// A rule that goes to these channels.
    #[must_use]
    pub fn new<S: Into<String>>(
        rule: impl Into<String>,
        channels: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            rule: rule.into(),
            channels: channels.into_iter().map(Into::into).collect(),
            aggregation_key: None,
            group_by: Vec::new(),
            aggregation_window: Duration::from_mins(5),
            escalation: None,
        }
    }

    /// Tells of this rule together with others that have the same key.
    #[must_use]
    pub fn with_aggregation(mut self, key: impl Into<String>, window: Duration) -> Self {
        self.aggregation_key = Some(key.into());
        self.aggregation_window = window;
        self
    }

    /// Escalates when nobody acknowledges.
    #[must_use]
    pub fn with_escalation(mut self, escalation: Escalation) -> Self {
        self.escalation = Some(escalation);
        self
    }

    fn shares_route_with(&self, other: &Self) -> bool {
        self.aggregation_key.is_some()
            && self.aggregation_key == other.aggregation_key
            && self.channels == other.channels
            && self.group_by == other.group_by
            && self.aggregation_window == other.aggregation_window
            && self.escalation == other.escalation
    }

    /// The route and the receiver of rules that are told of together.
    fn compile(rules: &[&Self]) -> Option<(Route, Receiver)> {
        let first = rules.first()?;
        let name = match &first.aggregation_key {
            Some(key) => format!("aggregation:{key}:{}", first.rule),
            None => format!("rule:{}", first.rule),
        };
        let names: Vec<String> = rules.iter().map(|rule| quote(&rule.rule)).collect();
        let matcher = format!("alertname=~\"{}\"", names.join("|"));
        let receiver = Receiver {
            name: name.clone(),
            channels: first.channels.clone(),
            escalation: first.escalation.clone(),
        };
        let mut route = Route::to(name)
            .with_matcher(matcher)
            .with_group_by(first.group_by.iter().cloned());
        route.group_wait = Some(first.aggregation_window.min(Duration::from_secs(30)));
        route.group_interval = Some(first.aggregation_window.max(Duration::from_secs(1)));
        Some((route, receiver))
    }
}

impl Routing {
    /// Adds a route and a receiver for every rule that says where it goes; they come before the other routes.
    #[must_use]
    pub fn with_rules(mut self, rules: &[SimpleRule]) -> Self {
        let mut groups: Vec<Vec<&SimpleRule>> = Vec::new();
        for rule in rules {
            match groups
                .iter_mut()
                .find(|group| group[0].shares_route_with(rule))
            {
                Some(group) => group.push(rule),
                None => groups.push(vec![rule]),
            }
        }
        let (routes, receivers): (Vec<_>, Vec<_>) = groups
            .iter()
            .filter_map(|group| SimpleRule::compile(group))
            .unzip();
        self.route.routes.splice(0..0, routes);
        self.receivers.extend(receivers);
        self
    }
}

/// Makes a text match itself in a regular expression inside quotes.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            '\n' => quoted.push_str(r"\\n"),
            '"' => quoted.push_str("\\\""),
            c if c.is_alphanumeric() || c == '_' || c.is_whitespace() => quoted.push(c),
            '\\' => quoted.push_str(r"\\\\"),
            c if c.is_ascii() => {
                // The matcher's quotes take one backslash, the expression the other.
                quoted.push_str(r"\\");
                quoted.push(c);
            }
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alerting::{ChannelTraits, Router},
        query::Labels,
    };

    #[test]
    fn rules_with_one_key_share_a_route_and_others_have_their_own() {
        let minute = Duration::from_mins(1);
        let routing = Routing::to_receiver(Receiver::new("default", ["console"])).with_rules(&[
            SimpleRule::new("slow.a", ["slack"]).with_aggregation("performance", minute),
            SimpleRule::new("slow+b", ["slack"]).with_aggregation("performance", minute),
            SimpleRule::new("down", ["slack", "pager"]),
        ]);
        let channels = ["console", "slack", "pager"]
            .map(|name| (name.to_owned(), ChannelTraits::default()))
            .into();
        let router = Router::new(&routing, channels).unwrap();
        let receivers = |name: &str| {
            let labels = Labels::from_pairs([("alertname", name)]);
            router.receivers_of(&labels).join(" ")
        };
        assert_eq!(receivers("slow.a"), "aggregation:performance:slow.a");
        assert_eq!(receivers("slow+b"), "aggregation:performance:slow.a");
        assert_eq!(receivers("slowxa"), "default");
        assert_eq!(receivers("down"), "rule:down");
        let node = router.node(1);
        assert_eq!(
            (node.group_wait_ms, node.group_interval_ms),
            (30_000, 60_000)
        );
    }

    #[test]
    fn a_rules_id_matches_only_itself_whatever_it_contains() {
        for id in ["a.b", "a\\b", "a\"b", "a|b", "a(b", "a\nb", "é.ü"] {
            let (route, _) = SimpleRule::compile(&[&SimpleRule::new(id, ["x"])]).unwrap();
            let matchers = super::super::parse_matchers(&route.matchers[0]).unwrap();
            assert!(matchers[0].is_match(id), "{id:?} {:?}", route.matchers);
            assert!(!matchers[0].is_match("axb"), "{id:?}");
        }
    }
}
