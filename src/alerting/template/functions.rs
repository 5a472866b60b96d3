//! Implements the functions of templates: Go's, Prometheus's for rules and Alertmanager's for notifications.

use std::sync::Arc;

use super::escape::Escape;
use super::exec::Inputs;
use super::time::Time;
use super::value::{ArgsMap, List, ListKind, Value};
use super::{builtins, compare, escape, format, humanize, json, network, time};
use crate::alerting::rule::duration;
use crate::query::engine::QueryError;
use crate::query::{Pattern, PatternError};

/// The set of functions that a template may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The template of a rule's label or annotation: Prometheus's functions.
    Rule,
    /// The template of a notification: Alertmanager's functions, and Prometheus's that need no query.
    Message,
}

/// The dialects that have a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Rule,
    Message,
    Both,
}

/// A function of templates.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) min_args: usize,
    /// `None`: any number.
    pub(super) max_args: Option<usize>,
    pub(super) call: Call,
    /// The types of the arguments, where they are not free.
    types: &'static [Type],
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Text,
    Sample,
    Samples,
    Strings,
    Time,
}

macro_rules! functions {
    ($($scope:ident $name:literal $call:ident $min:literal $max:expr, [$($type:ident),*];)*) => {
        /// Names a function; variants carry the names of the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Call { $($call),* }

        static FUNCTIONS: &[Function] = &[$(Function {
            name: $name, min_args: $min, max_args: $max, call: Call::$call, types: &[$(Type::$type),*],
            scope: Scope::$scope,
        }),*];
    };
}

functions! {
    // Prometheus's.
    Rule "args" Args 0 None, [];
    Rule "externalURL" ExternalUrl 0 Some(0), [];
    Rule "first" First 1 Some(1), [Samples];
    Rule "graphLink" GraphLink 1 Some(1), [Text];
    Both "humanize" Humanize 1 Some(1), [];
    Both "humanize1024" Humanize1024 1 Some(1), [];
    Both "humanizeDuration" HumanizeDuration 1 Some(1), [];
    Both "humanizePercentage" HumanizePercentage 1 Some(1), [];
    Both "humanizeTimestamp" HumanizeTimestamp 1 Some(1), [];
    Rule "label" Label 2 Some(2), [Text, Sample];
    Both "match" Match 2 Some(2), [Text, Text];
    Both "parseDuration" ParseDuration 1 Some(1), [Text];
    Rule "pathPrefix" PathPrefix 0 Some(0), [];
    Rule "query" Query 1 Some(1), [Text];
    Both "reReplaceAll" ReReplaceAll 3 Some(3), [Text, Text, Text];
    Rule "safeHtml" SafeHtmlOfRule 1 Some(1), [Text];
    Rule "sortByLabel" SortByLabel 2 Some(2), [Text, Samples];
    Both "stripDomain" StripDomain 1 Some(1), [Text];
    Both "stripPort" StripPort 1 Some(1), [Text];
    Rule "strvalue" StrValue 1 Some(1), [Sample];
    Rule "tableLink" TableLink 1 Some(1), [Text];
    Rule "title" Title 1 Some(1), [Text];
    Both "toLower" ToLower 1 Some(1), [Text];
    Both "toTime" ToTime 1 Some(1), [];
    Both "toUpper" ToUpper 1 Some(1), [Text];
    Rule "value" SampleValue 1 Some(1), [Sample];
    // Alertmanager's.
    Message "date" Date 2 Some(2), [Text, Time];
    Message "join" Join 2 Some(2), [Text, Strings];
    Message "safeHtml" SafeHtml 1 Some(1), [Text];
    Message "safeUrl" SafeUrl 1 Some(1), [Text];
    Message "since" Since 1 Some(1), [Time];
    Message "stringSlice" StringSlice 0 None, [];
    Message "title" TitleCase 1 Some(1), [Text];
    Message "toJson" ToJson 1 Some(1), [];
    Message "trimSpace" TrimSpace 1 Some(1), [Text];
    Message "tz" Tz 2 Some(2), [Text, Time];
    Both "urlQueryEscape" UrlQueryEscape 1 Some(1), [Text];
    Message "urlUnescape" UrlUnescape 1 Some(1), [Text];
    // Go's.
    Both "and" And 1 None, [];
    Both "call" Apply 1 None, [];
    Both "eq" Eq 1 None, [];
    Both "ge" Ge 2 Some(2), [];
    Both "gt" Gt 2 Some(2), [];
    Both "html" Html 0 None, [];
    Both "index" Index 1 None, [];
    Both "js" Js 0 None, [];
    Both "le" Le 2 Some(2), [];
    Both "len" Len 1 Some(1), [];
    Both "lt" Lt 2 Some(2), [];
    Both "ne" Ne 2 Some(2), [];
    Both "not" Not 1 Some(1), [];
    Both "or" Or 1 None, [];
    Both "print" Print 0 None, [];
    Both "printf" Printf 1 None, [Text];
    Both "println" Println 0 None, [];
    Both "slice" Slice 1 None, [];
    Both "urlquery" UrlQuery 0 None, [];
}

/// Returns the function of this name.
pub(super) fn find(name: &str, dialect: Dialect) -> Option<&'static Function> {
    let is_known = |function: &&Function| match function.scope {
        Scope::Both => true,
        Scope::Rule => dialect == Dialect::Rule,
        Scope::Message => dialect == Dialect::Message,
    };
    let mut functions = FUNCTIONS.iter().filter(is_known);
    functions.find(|function| function.name == name)
}

impl Function {
    /// Returns Go's message about an argument of the wrong type.
    pub(super) fn mismatch(&self, at: usize, arg: &Value) -> Option<String> {
        let (wanted, fits) = match self.types.get(at)? {
            Type::Text => ("string", arg.as_text().is_some()),
            Type::Sample => ("*template.sample", matches!(arg, Value::Sample(_))),
            Type::Samples => ("template.queryResult", matches!(arg, Value::Samples(_))),
            Type::Strings => ("[]string", is_strings(arg)),
            Type::Time => ("time.Time", matches!(arg, Value::Time(_))),
        };
        let given = arg.type_name();
        (!fits).then(|| match arg {
            Value::Nil => format!("invalid value; expected {wanted}"),
            _ => format!("wrong type for value; expected {wanted}; got {given}"),
        })
    }

    /// Units of work: queries and regular expressions are not free.
    pub(super) fn work(&self) -> usize {
        match self.call {
            Call::Query => 2000,
            Call::Match | Call::ReReplaceAll => 500,
            _ => 1,
        }
    }
}

/// The text of an argument whose type has been checked.
fn text(args: &[Value], at: usize) -> &str {
    args.get(at).and_then(Value::as_text).unwrap_or("")
}

fn is_strings(value: &Value) -> bool {
    matches!(value, Value::List(list) if list.kind == ListKind::Strings)
}

pub(super) fn call(
    function: &Function,
    args: &[Value],
    inputs: &Inputs<'_>,
) -> Result<Value, String> {
    let bounded = |text: String| bounded(text, inputs).map(Value::text);
    let external_url = inputs.rule.map_or("", |rule| rule.shared.external_url);
    let first = args.first().unwrap_or(&Value::Nil);
    match function.call {
        Call::Query => query(text(args, 0), inputs),
        Call::First => match first {
            Value::Samples(samples) => samples
                .first()
                .map(|sample| Value::Sample(Arc::clone(sample)))
                .ok_or_else(|| "first() called on vector with no elements".to_owned()),
            _ => Ok(Value::Nil),
        },
        Call::Label => match &args[1] {
            Value::Sample(s) => Ok(Value::text(s.labels.get(text(args, 0)).unwrap_or(""))),
            _ => Ok(Value::Nil),
        },
        Call::SampleValue => match first {
            Value::Sample(sample) => Ok(Value::Float(sample.point.value)),
            _ => Ok(Value::Nil),
        },
        Call::StrValue => match first {
            Value::Sample(s) => Ok(Value::text(s.labels.get("__value__").unwrap_or(""))),
            _ => Ok(Value::Nil),
        },
        Call::SortByLabel => match &args[1] {
            Value::Samples(samples) => {
                let mut sorted = samples.to_vec();
                let name = text(args, 0);
                sorted.sort_by(|a, b| label_of(a, name).cmp(label_of(b, name)));
                Ok(Value::Samples(sorted.into()))
            }
            _ => Ok(Value::Nil),
        },
        Call::Args => match ArgsMap::new(args) {
            Some(map) => Ok(Value::Map(Arc::new(map))),
            None => Err("too many values".to_owned()),
        },
        Call::ExternalUrl => Ok(Value::text(external_url)),
        Call::PathPrefix => Ok(Value::text(network::path_of(external_url))),
        Call::Match => {
            let regex = regex(text(args, 0))?;
            Ok(Value::Bool(regex.is_match(text(args, 1))))
        }
        Call::ReReplaceAll => {
            let pattern = text(args, 0);
            let regex = regex(pattern).map_err(|e| format!("regexp: Compile(`{pattern}`): {e}"))?;
            let replaced = regex.replace_all(text(args, 2), text(args, 1));
            bounded(replaced.into_owned())
        }
        Call::Title => bounded(format::title(text(args, 0))),
        Call::ToUpper => bounded(text(args, 0).to_uppercase()),
        Call::ToLower => bounded(text(args, 0).to_lowercase()),
        Call::GraphLink => bounded(escape::graph_link(text(args, 0))),
        Call::TableLink => bounded(escape::table_link(text(args, 0))),
        Call::StripPort => Ok(Value::text(network::strip_port(text(args, 0)))),
        Call::StripDomain => Ok(Value::text(network::strip_domain(text(args, 0)))),
        Call::ParseDuration => {
            let duration = duration::parse(text(args, 0));
            let wrong = |_| format!("not a valid duration string: {:?}", text(args, 0));
            Ok(Value::Float(duration.map_err(wrong)?.as_secs_f64()))
        }
        Call::Humanize => Ok(Value::text(humanize::plain(humanize::float(first)?))),
        Call::Humanize1024 => Ok(Value::text(humanize::binary(humanize::float(first)?))),
        Call::HumanizeDuration => Ok(Value::text(humanize::duration(humanize::float(first)?))),
        Call::HumanizePercentage => Ok(Value::text(humanize::percentage(humanize::float(first)?))),
        Call::HumanizeTimestamp => Ok(Value::text(humanize::timestamp(humanize::float(first)?)?)),
        Call::ToTime => Ok(Value::time(time::from_seconds(humanize::float(first)?)?)),
        Call::Date => bounded(date(args)),
        Call::Tz => tz(args),
        Call::Since => Ok(since(first, inputs)),
        Call::Join => bounded(join(args)),
        Call::StringSlice => string_slice(args),
        Call::TitleCase => bounded(format::title_case(text(args, 0))),
        Call::TrimSpace => Ok(Value::text(text(args, 0).trim())),
        Call::UrlUnescape => bounded(escape::unquery(text(args, 0))?),
        Call::ToJson => {
            self::bounded(json::encode(first), inputs).map(|json| Value::Json(json.into()))
        }
        Call::SafeHtml => Ok(Value::Safe(text(args, 0).into())),
        // In html/template, `safeUrl` lets a URL of any scheme pass; it is escaped for HTML all the same.
        Call::SafeUrl => Ok(Value::text(text(args, 0))),
        // The executor handles `and` and `or`; the texts of rules are not escaped.
        Call::And | Call::Or | Call::SafeHtmlOfRule => Ok(first.clone()),
        Call::Not => Ok(Value::Bool(!first.is_true())),
        Call::Eq => compare::equal(args).map(Value::Bool),
        Call::Ne => compare::equal(args).map(|equal| Value::Bool(!equal)),
        Call::Lt => compare::less(&args[0], &args[1]).map(Value::Bool),
        Call::Le => compare::less_or_equal(&args[0], &args[1]).map(Value::Bool),
        Call::Gt => compare::less_or_equal(&args[0], &args[1]).map(|le| Value::Bool(!le)),
        Call::Ge => compare::less(&args[0], &args[1]).map(|less| Value::Bool(!less)),
        Call::Len => builtins::length(first),
        Call::Index => builtins::index(first, &args[1..]),
        Call::Slice => builtins::slice(first, &args[1..]),
        Call::Apply => Err(format!("non-function of type {}", first.type_name())),
        Call::Print => bounded(format::print(args)),
        Call::Println => bounded(format::println(args)),
        Call::Printf => bounded(printf(args, inputs)),
        Call::Html => html(args, inputs),
        Call::Js => bounded(escape::js(&format::joined(args))),
        Call::UrlQuery | Call::UrlQueryEscape => bounded(escape::query(&format::joined(args))),
    }
}

/// Writes the time of the second argument in the layout of the first.
fn date(args: &[Value]) -> String {
    match args.get(1) {
        Some(Value::Time(time)) => time.format(text(args, 0)),
        _ => String::new(),
    }
}

/// Moves the time of the second argument to the zone of the first.
fn tz(args: &[Value]) -> Result<Value, String> {
    match args.get(1) {
        Some(Value::Time(time)) => time.in_zone(text(args, 0)).map(Value::Time),
        _ => Ok(Value::Nil),
    }
}

fn since(time: &Value, inputs: &Inputs<'_>) -> Value {
    match time {
        Value::Time(time) => Value::Duration(Time::utc(inputs.now_ms).since(time)),
        _ => Value::Nil,
    }
}

fn join(args: &[Value]) -> String {
    match args.get(1) {
        Some(Value::List(List { items, .. })) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_text).collect();
            texts.join(text(args, 0))
        }
        _ => String::new(),
    }
}

fn string_slice(args: &[Value]) -> Result<Value, String> {
    match args.iter().find(|arg| arg.as_text().is_none()) {
        None => Ok(Value::strings(args.iter().filter_map(Value::as_text))),
        Some(arg) => {
            let given = arg.type_name();
            Err(format!(
                "wrong type for value; expected string; got {given}"
            ))
        }
    }
}

fn printf(args: &[Value], inputs: &Inputs<'_>) -> String {
    let values = args.get(1..).unwrap_or_default();
    format::printf(text(args, 0), values, inputs.limits.output_bytes)
}

/// Escapes for HTML. The action does not escape the result once more, so that `&lt;` does not become `&amp;lt;`.
fn html(args: &[Value], inputs: &Inputs<'_>) -> Result<Value, String> {
    let text = bounded(escape::html(&format::joined(args)), inputs)?;
    Ok(match inputs.escape {
        Escape::Plain | Escape::Json => Value::text(text),
        Escape::Slack => Value::Safe(text.into()),
        #[cfg(any(test, feature = "email"))]
        Escape::Html => Value::Safe(text.into()),
    })
}

fn label_of<'a>(sample: &'a crate::query::engine::VectorSample, name: &str) -> &'a str {
    sample.labels.get(name).unwrap_or("")
}

/// A text inside an expansion is at most as long as the text that may come out of the expansion.
fn bounded(text: String, inputs: &Inputs<'_>) -> Result<String, String> {
    let max_bytes = inputs.limits.output_bytes;
    if text.len() > max_bytes {
        return Err(format!("the text is longer than {max_bytes} bytes"));
    }
    Ok(text)
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    Pattern::search(pattern).map_err(|error| match error {
        PatternError::Syntax(_) => error.to_string(),
        _ => format!("error parsing regexp: `{pattern}`"),
    })
}

fn query(text: &str, inputs: &Inputs<'_>) -> Result<Value, String> {
    let Some(rule) = inputs.rule else {
        return Ok(Value::Nil);
    };
    let samples = (rule.shared.query)(text).map_err(|error| match error {
        QueryError::Parse(error) => error.to_string(),
        other => other.to_string(),
    })?;
    let samples: Vec<_> = samples.into_iter().map(Arc::new).collect();
    Ok(Value::Samples(samples.into()))
}
