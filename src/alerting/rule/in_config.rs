//! Rules in the configuration file, in the form of Prometheus's rule files.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Value, json};

use super::{AlertRule, Rule, RuleGroup, export_rules, parse_rule_file};

/// The name of the file in errors.
const FILE: &str = "configuration";

fn to_groups<E: ser::Error>(groups: &[RuleGroup]) -> Result<Value, E> {
    let mut file: Value = serde_saphyr::from_str(&export_rules(groups).yaml).map_err(E::custom)?;
    Ok(file["groups"].take())
}

fn from_groups<E: de::Error>(groups: &Value) -> Result<Vec<RuleGroup>, E> {
    // JSON is YAML. The lines of this text mean nothing, so the errors are shown without them.
    let text = json!({ "groups": groups }).to_string();
    parse_rule_file(FILE, &text).map_err(|mut errors| {
        for problem in &mut errors.problems {
            problem.line = None;
        }
        E::custom(errors)
    })
}

/// The alert rules of `alerting.rules`: the entries of `rules` of a group.
pub(in crate::alerting) mod rules {
    use super::{
        AlertRule, Deserialize, Deserializer, Rule, RuleGroup, Serialize, Serializer, Value, de,
        from_groups, json, to_groups,
    };

    pub(in crate::alerting) fn serialize<S: Serializer>(
        rules: &[AlertRule],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if rules.is_empty() {
            return serializer.collect_seq::<[(); 0]>([]);
        }
        let group = RuleGroup::new("rules").rules(rules.to_vec());
        let groups = to_groups::<S::Error>(&[group])?;
        groups[0]["rules"].serialize(serializer)
    }

    pub(in crate::alerting) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<AlertRule>, D::Error> {
        let rules = Value::deserialize(deserializer)?;
        if rules.as_array().is_none_or(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let groups: Vec<RuleGroup> = from_groups(&json!([{ "name": "rules", "rules": rules }]))?;
        let rules = groups.into_iter().flat_map(|group| group.rules);
        let alert = |rule| match rule {
            Rule::Alert(rule) => Ok(*rule),
            Rule::Record(_) => Err(de::Error::custom(
                "has a recording rule; write recording rules in `alerting.rule_groups`",
            )),
        };
        rules.map(alert).collect()
    }
}

/// The groups of `alerting.rule_groups`: the entries of `groups` of a rule file.
pub(in crate::alerting) mod groups {
    use super::{
        Deserialize, Deserializer, RuleGroup, Serialize, Serializer, Value, from_groups, to_groups,
    };

    pub(in crate::alerting) fn serialize<S: Serializer>(
        groups: &[RuleGroup],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if groups.is_empty() {
            return serializer.collect_seq::<[(); 0]>([]);
        }
        to_groups::<S::Error>(groups)?.serialize(serializer)
    }

    pub(in crate::alerting) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<RuleGroup>, D::Error> {
        let groups = Value::deserialize(deserializer)?;
        if groups.as_array().is_none_or(Vec::is_empty) {
            return Ok(Vec::new());
        }
        from_groups(&groups)
    }
}
