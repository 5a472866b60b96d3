//! The functions that a template may call: Prometheus's own, and Go's.

use std::sync::Arc;

use super::value::Value;
use super::{Context, builtins, compare, escape, format, humanize, network, time};
use crate::alerting::rule::duration;
use crate::query::engine::QueryError;
use crate::query::{Pattern, PatternError};

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
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Text,
    Sample,
    Samples,
}

macro_rules! functions {
    ($($name:literal $call:ident $min:literal $max:expr, [$($type:ident),*];)*) => {
        /// Names a function; variants carry the names of the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Call { $($call),* }

        static FUNCTIONS: &[Function] = &[$(Function {
            name: $name, min_args: $min, max_args: $max, call: Call::$call, types: &[$(Type::$type),*],
        }),*];
    };
}

functions! {
    // Prometheus's.
    "args" Args 0 None, [];
    "externalURL" ExternalUrl 0 Some(0), [];
    "first" First 1 Some(1), [Samples];
    "graphLink" GraphLink 1 Some(1), [Text];
    "humanize" Humanize 1 Some(1), [];
    "humanize1024" Humanize1024 1 Some(1), [];
    "humanizeDuration" HumanizeDuration 1 Some(1), [];
    "humanizePercentage" HumanizePercentage 1 Some(1), [];
    "humanizeTimestamp" HumanizeTimestamp 1 Some(1), [];
    "label" Label 2 Some(2), [Text, Sample];
    "match" Match 2 Some(2), [Text, Text];
    "parseDuration" ParseDuration 1 Some(1), [Text];
    "pathPrefix" PathPrefix 0 Some(0), [];
    "query" Query 1 Some(1), [Text];
    "reReplaceAll" ReReplaceAll 3 Some(3), [Text, Text, Text];
    "safeHtml" SafeHtml 1 Some(1), [Text];
    "sortByLabel" SortByLabel 2 Some(2), [Text, Samples];
    "stripDomain" StripDomain 1 Some(1), [Text];
    "stripPort" StripPort 1 Some(1), [Text];
    "strvalue" StrValue 1 Some(1), [Sample];
    "tableLink" TableLink 1 Some(1), [Text];
    "title" Title 1 Some(1), [Text];
    "toLower" ToLower 1 Some(1), [Text];
    "toTime" ToTime 1 Some(1), [];
    "toUpper" ToUpper 1 Some(1), [Text];
    "value" SampleValue 1 Some(1), [Sample];
    // Go's.
    "and" And 1 None, [];
    "call" Apply 1 None, [];
    "eq" Eq 1 None, [];
    "ge" Ge 2 Some(2), [];
    "gt" Gt 2 Some(2), [];
    "html" Html 0 None, [];
    "index" Index 1 None, [];
    "js" Js 0 None, [];
    "le" Le 2 Some(2), [];
    "len" Len 1 Some(1), [];
    "lt" Lt 2 Some(2), [];
    "ne" Ne 2 Some(2), [];
    "not" Not 1 Some(1), [];
    "or" Or 1 None, [];
    "print" Print 0 None, [];
    "printf" Printf 1 None, [Text];
    "println" Println 0 None, [];
    "slice" Slice 1 None, [];
    "urlquery" UrlQuery 0 None, [];
}

pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Function {
    /// Says what is wrong with the type of an argument.
    pub(super) fn mismatch(&self, at: usize, arg: &Value) -> Option<String> {
        let (wanted, fits) = match self.types.get(at)? {
            Type::Text => ("string", matches!(arg, Value::Text(_))),
            Type::Sample => ("*template.sample", matches!(arg, Value::Sample(_))),
            Type::Samples => ("template.queryResult", matches!(arg, Value::Samples(_))),
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
    match args.get(at) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

pub(super) fn call(
    function: &Function,
    args: &[Value],
    context: &Context<'_>,
) -> Result<Value, String> {
    let first = args.first().unwrap_or(&Value::Nil);
    match function.call {
        Call::Query => query(text(args, 0), context),
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
        Call::Args => {
            let pairs = args.iter().enumerate();
            let map = pairs.map(|(at, value)| (format!("arg{at}"), value.clone()));
            Ok(Value::Map(Arc::new(map.collect())))
        }
        Call::ExternalUrl => Ok(Value::text(context.shared.external_url)),
        Call::PathPrefix => Ok(Value::text(network::path_of(context.shared.external_url))),
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
        Call::ToTime => Ok(Value::Time(time::from_seconds(humanize::float(first)?)?)),
        // `and` and `or` are the executor's; a text is not escaped in a text.
        Call::And | Call::Or | Call::SafeHtml => Ok(first.clone()),
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
        Call::Printf => bounded(format::printf(text(args, 0), &args[1..])),
        Call::Html => bounded(escape::html(&format::joined(args))),
        Call::Js => bounded(escape::js(&format::joined(args))),
        Call::UrlQuery => bounded(escape::query(&format::joined(args))),
    }
}

fn label_of<'a>(sample: &'a crate::query::engine::VectorSample, name: &str) -> &'a str {
    sample.labels.get(name).unwrap_or("")
}

/// No text inside an expansion is longer than the text that may come out of it.
fn bounded(text: String) -> Result<Value, String> {
    if text.len() > super::MAX_OUTPUT_BYTES {
        return Err(format!(
            "the text is longer than {} bytes",
            super::MAX_OUTPUT_BYTES
        ));
    }
    Ok(Value::text(text))
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    Pattern::search(pattern).map_err(|error| match error {
        PatternError::Syntax(_) => error.to_string(),
        _ => format!("error parsing regexp: `{pattern}`"),
    })
}

fn query(text: &str, context: &Context<'_>) -> Result<Value, String> {
    let samples = (context.shared.query)(text).map_err(|error| match error {
        QueryError::Parse(error) => error.to_string(),
        other => other.to_string(),
    })?;
    let samples: Vec<_> = samples.into_iter().map(Arc::new).collect();
    Ok(Value::Samples(samples.into()))
}
