//! The form for whoever wants no tree: each rule says which channels it goes to.

use std::time::Duration;

use super::{Escalation, Receiver, Route, Routing};
use crate::{alerting::alert::fingerprint, query::Labels};

/// What a rule says about its own notifications.
///
/// Rules with the same aggregation key, channels, window and escalation become one group: one message for all of
/// them. A rule without a key is a group by itself. Of two with one id, the later counts: an alert is known by it.
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

    /// A number for what rules must have in common, beside the key, to be told of together.
    fn shape(&self) -> u64 {
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

    /// The route and the receiver of rules that are told of together.
    fn compile(rules: &[&Self]) -> Option<(Route, Receiver)> {
        let first = rules.first()?;
        // Nothing of it depends on which rules there are: one that comes or goes must not make a new group of those
        // that stay, which would be told again.
        let (name, key) = match &first.aggregation_key {
            Some(key) => {
                let name = format!("{key}:{:08x}", first.shape());
                let route_key = format!("{{aggregation={name:?}}}");
                (format!("aggregation:{name}"), Some(route_key))
            }
            None => (format!("rule:{}", first.rule), None),
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
        route.key = key;
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
    use crate::alerting::{ChannelTraits, Router};

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
        let together = receivers("slow.a");
        assert!(together.starts_with("aggregation:performance:"));
        assert_eq!(receivers("slow+b"), together);
        assert_eq!(receivers("slowxa"), "default");
        assert_eq!(receivers("down"), "rule:down");
        let node = router.node(1);
        assert_eq!(
            (node.group_wait_ms, node.group_interval_ms),
            (30_000, 60_000)
        );
    }

    #[test]
    fn a_rule_that_comes_or_goes_leaves_the_others_their_group() {
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
        let elsewhere = SimpleRule::new("a", ["slack"]).with_aggregation("performance", minute * 2);
        assert_ne!(keys(&[elsewhere]), both);
    }

    #[test]
    fn of_two_rules_with_one_id_the_later_says_where_its_alerts_go() {
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
    fn a_rules_id_matches_only_itself_whatever_it_contains() {
        for id in ["a.b", "a\\b", "a\"b", "a|b", "a(b", "a\nb", "é.ü"] {
            let (route, _) = SimpleRule::compile(&[&SimpleRule::new(id, ["x"])]).unwrap();
            let matchers = super::super::parse_matchers(&route.matchers[0]).unwrap();
            assert!(matchers[0].is_match(id), "{id:?} {:?}", route.matchers);
            assert!(!matchers[0].is_match("axb"), "{id:?}");
        }
    }
}
