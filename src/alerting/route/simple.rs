//! Compiles the routing of rules that name their channels into routes of the tree.

use std::time::Duration;

use super::{Escalation, Receiver, Route, Routing};
use crate::{alerting::alert::fingerprint, query::Labels};

/// The routing of a rule that names its channels.
///
/// Rules with the same aggregation key, channels, window and escalation form a group and share notifications. A rule
/// without a key is a group by itself. Of two rules with the same id, the later is used, because alerts identify their
/// rule by its id only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimpleRule {
    /// Id of the rule; the label `alertname` of its alerts.
    pub rule: String,
    /// Channels that are notified first.
    pub channels: Vec<String>,
    /// Rules with the same key share notifications. Default: none.
    pub aggregation_key: Option<String>,
    /// Labels by whose values alerts are grouped. Default: none, a single group.
    pub group_by: Vec<String>,
    /// Time between two notifications of a group. The first notification is sent after Alertmanager's `group_wait` of
    /// 30 s, or after the window if that is shorter. Default: 5 min.
    pub aggregation_window: Duration,
    /// Further channels that are notified while an alert is not acknowledged. Default: none.
    pub escalation: Option<Escalation>,
}

impl SimpleRule {
    /// Creates the routing of a rule to these channels.
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

    /// Sets the aggregation key and the window: rules with the same key share notifications.
    #[must_use]
    pub fn with_aggregation(mut self, key: impl Into<String>, window: Duration) -> Self {
        self.aggregation_key = Some(key.into());
        self.aggregation_window = window;
        self
    }

    /// Sets the escalation.
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

    /// Returns a hash of the settings that rules must share, besides the key, to share notifications.
    fn settings_hash(&self) -> u64 {
        let lists = |lists: &[&[String]]| {
            let lists = lists.iter().map(|list| list.join("\u{1f}"));
            lists.collect::<Vec<_>>().join("\u{1e}")
        };
        let mut labels = vec![
            ("channels", lists(&[&self.channels])),
            ("group_by", lists(&[&self.group_by])),
            ("window", self.aggregation_window.as_millis().to_string()),
        ];
        if let Some(escalation) = &self.escalation {
            let steps = escalation.steps.iter();
            let channels: Vec<&[String]> = steps.clone().map(|s| &*s.channels).collect();
            let delays = steps.map(|step| step.delay.unwrap_or(escalation.delay).as_millis());
            labels.push(("steps", lists(&channels)));
            labels.push(("delays", format!("{:?}", delays.collect::<Vec<_>>())));
            labels.push(("repeat", escalation.repeat.to_string()));
        }
        fingerprint(&Labels::from_pairs(labels)) & 0xffff_ffff
    }

    /// Returns the route and the receiver of rules that share notifications.
    fn compile(rules: &[&Self]) -> Option<(Route, Receiver)> {
        let first = rules.first()?;
        // The names depend on no other rule: adding or removing a rule must not create a new group for the remaining
        // rules, whose alerts would be sent again.
        let (name, key) = match &first.aggregation_key {
            Some(key) => {
                let name = format!("{key}:{:08x}", first.settings_hash());
                let route_key = format!("{{aggregation={name:?}}}");
                (format!("aggregation:{name}"), Some(route_key))
            }
            None => (format!("rule:{}", first.rule), None),
        };
        let names: Vec<String> = rules.iter().map(|rule| escape_regex(&rule.rule)).collect();
        let matcher = format!("alertname=~\"{}\"", names.join("|"));
        let receiver = Receiver {
            name: name.clone(),
            channels: first.channels.clone(),
            escalation: first.escalation.clone(),
        };
        let mut route = Route::to(name)
            .with_matcher(matcher)
            .with_group_by(first.group_by.iter().cloned());
        route.key = key;
        route.group_wait = Some(first.aggregation_window.min(Duration::from_secs(30)));
        route.group_interval = Some(first.aggregation_window.max(Duration::from_secs(1)));
        Some((route, receiver))
    }
}

impl Routing {
    /// Adds a route and a receiver for every rule, before the existing routes.
    #[must_use]
    pub fn with_rules(mut self, rules: &[SimpleRule]) -> Self {
        let mut groups: Vec<Vec<&SimpleRule>> = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            if rules[at + 1..].iter().any(|later| later.rule == rule.rule) {
                continue;
            }
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

/// Escapes a text so that it matches only itself in a quoted regular expression.
fn escape_regex(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            '\n' => quoted.push_str(r"\\n"),
            '"' => quoted.push_str("\\\""),
            c if c.is_alphanumeric() || c == '_' || c.is_whitespace() => quoted.push(c),
            '\\' => quoted.push_str(r"\\\\"),
            c if c.is_ascii() => {
                // The matcher's quotes consume a backslash, and the regular expression another.
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
    use crate::alerting::{ChannelTraits, Router};

    #[test]
    fn rules_with_the_same_key_share_a_route_and_other_rules_have_separate_routes() {
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
        let shared = receivers("slow.a");
        assert!(shared.starts_with("aggregation:performance:"));
        assert_eq!(receivers("slow+b"), shared);
        assert_eq!(receivers("slowxa"), "default");
        assert_eq!(receivers("down"), "rule:down");
        let node = router.node(1);
        assert_eq!(
            (node.group_wait, node.group_interval),
            (Duration::from_secs(30), Duration::from_mins(1))
        );
    }

    #[test]
    fn adding_or_removing_a_rule_keeps_the_group_of_the_other_rules() {
        let minute = Duration::from_mins(1);
        let rule = |id| SimpleRule::new(id, ["slack"]).with_aggregation("performance", minute);
        let keys = |rules: &[SimpleRule]| {
            let routing = Routing::to_receiver(Receiver::new("default", ["slack"]));
            let channels = [("slack".to_owned(), ChannelTraits::default())].into();
            let router = Router::new(&routing.with_rules(rules), channels).unwrap();
            let node = router.node(1);
            (node.key.clone(), node.receiver.to_string())
        };
        let both = keys(&[rule("a"), rule("b")]);
        assert_eq!(keys(&[rule("b")]), both);
        assert_eq!(keys(&[rule("c"), rule("b"), rule("a")]), both);
        let other_window =
            SimpleRule::new("a", ["slack"]).with_aggregation("performance", minute * 2);
        assert_ne!(keys(&[other_window]), both);
    }

    #[test]
    fn of_two_rules_with_the_same_id_the_later_is_used() {
        let routing = Routing::to_receiver(Receiver::new("default", ["slack"]));
        let routing = routing.with_rules(&[
            SimpleRule::new("a", ["slack"]),
            SimpleRule::new("a", ["pager"]),
        ]);
        let names = ["slack", "pager"].map(|n| (n.to_owned(), ChannelTraits::default()));
        Router::new(&routing, names.into()).unwrap();
        let receivers: Vec<_> = routing.receivers.iter().map(|r| &*r.channels).collect();
        assert_eq!(receivers, [["slack"], ["pager"]]);
    }

    #[test]
    fn the_matcher_of_a_rule_id_matches_only_this_id() {
        for id in ["a.b", "a\\b", "a\"b", "a|b", "a(b", "a\nb", "é.ü"] {
            let (route, _) = SimpleRule::compile(&[&SimpleRule::new(id, ["x"])]).unwrap();
            let matchers = super::super::parse_matchers(&route.matchers[0]).unwrap();
            assert!(matchers[0].is_match(id), "{id:?} {:?}", route.matchers);
            assert!(!matchers[0].is_match("axb"), "{id:?}");
        }
    }
}
