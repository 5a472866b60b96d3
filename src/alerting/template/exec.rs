//! Walks the tree of a template and writes its text, as Go's `text/template` executes it.

use std::sync::Arc;

use super::ast::{Branch, Command, Node, Operand, OperandKind, Pipe, Place, Tree};
use super::functions::Call;
use super::value::Value;
use super::{Context, MAX_OUTPUT_BYTES, TemplateError, builtins, format, functions, time};

/// Units of work that one expansion may take: a node is one, as are sixteen bytes of text.
const MAX_WORK: usize = 200_000;
/// Templates that may be open inside each other.
const MAX_CALLS: usize = 100;

pub(super) fn expand(tree: &Tree, context: &Context<'_>) -> Result<String, TemplateError> {
    let mut exec = Exec {
        tree,
        context,
        running: &tree.name,
        out: String::new(),
        variables: vec![("$".to_owned(), Value::Root)],
        work: 0,
        calls: 0,
    };
    exec.list(&Value::Root, &tree.main)?;
    Ok(exec.out)
}

struct Exec<'a> {
    tree: &'a Tree,
    context: &'a Context<'a>,
    /// The template that is being walked.
    running: &'a str,
    out: String,
    variables: Vec<(String, Value)>,
    work: usize,
    calls: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Outcome<T> = Result<T, TemplateError>;

impl<'a> Exec<'a> {
    fn slice(&self, place: Place) -> &str {
        self.tree.text.get(place.start..place.end).unwrap_or("")
    }

    fn fail(&self, place: Place, message: impl AsRef<str>) -> TemplateError {
        self.fail_in(place, self.slice(place), message.as_ref())
    }

    fn fail_in(&self, place: Place, context: &str, message: &str) -> TemplateError {
        let before = self.tree.text.get(..place.at).unwrap_or("");
        let line = 1 + before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        TemplateError(format!(
            "template: {}:{line}:{column}: executing {:?} at <{context}>: {message}",
            self.tree.name, self.running
        ))
    }

    fn spend(&mut self, place: Place, work: usize) -> Outcome<()> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            return Err(self.fail(place, "the template takes too long"));
        }
        Ok(())
    }

    fn write(&mut self, place: Place, text: &str) -> Outcome<()> {
        if self.out.len() + text.len() > MAX_OUTPUT_BYTES {
            let message = format!("the text is longer than {MAX_OUTPUT_BYTES} bytes");
            return Err(self.fail(place, message));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn list(&mut self, dot: &Value, nodes: &'a [Node]) -> Outcome<Flow> {
        for node in nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, dot: &Value, node: &'a Node) -> Outcome<Flow> {
        self.spend(Place::default(), 1)?;
        match node {
            Node::Text(text) => self.write(Place::default(), text)?,
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.write(pipe.place(), &format::printed(&value))?;
                }
            }
            Node::If(branch) | Node::With(branch) => {
                let known = self.variables.len();
                let value = self.pipe(dot, &branch.pipe)?;
                let is_with = matches!(node, Node::With(_));
                let flow = match (value.is_true(), is_with) {
                    (true, true) => self.list(&value, &branch.then),
                    (true, false) => self.list(dot, &branch.then),
                    (false, _) => self.list(dot, &branch.otherwise),
                };
                self.variables.truncate(known);
                return flow;
            }
            Node::Range(branch) => {
                let known = self.variables.len();
                let flow = self.range(dot, branch);
                self.variables.truncate(known);
                return flow;
            }
            Node::Call { name, data, place } => {
                let data = data.as_ref().map(|pipe| self.pipe(dot, pipe)).transpose()?;
                self.call(name, &data.unwrap_or(Value::Nil), *place)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn call(&mut self, name: &'a str, data: &Value, place: Place) -> Outcome<()> {
        let Some(nodes) = self.tree.defined.get(name) else {
            let context = format!("{{{{template {name:?}}}}}");
            let message = format!("template {name:?} not defined");
            return Err(self.fail_in(place, &context, &message));
        };
        if self.calls >= MAX_CALLS {
            return Err(self.fail(place, "exceeded maximum template depth"));
        }
        self.calls += 1;
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), data.clone())]);
        let running = std::mem::replace(&mut self.running, name);
        self.list(data, nodes)?;
        self.running = running;
        self.variables = outer;
        self.calls -= 1;
        Ok(())
    }

    fn range(&mut self, dot: &Value, branch: &'a Branch) -> Outcome<Flow> {
        let value = self.pipe_value(dot, &branch.pipe)?;
        let items = match &value {
            Value::Nil => Vec::new(),
            Value::Labels(labels) => labels
                .iter()
                .map(|l| (Value::text(l.name()), Value::text(l.value())))
                .collect(),
            Value::Map(map) => map
                .iter()
                .map(|(key, value)| (Value::text(&**key), value.clone()))
                .collect(),
            Value::Samples(samples) => samples
                .iter()
                .enumerate()
                .map(|(at, sample)| (Value::size(at), Value::Sample(Arc::clone(sample))))
                .collect(),
            other => {
                let message = format!("range can't iterate over {}", format::printed(other));
                return Err(self.fail(branch.pipe.place(), message));
            }
        };
        if items.is_empty() {
            return self.list(dot, &branch.otherwise);
        }
        let known = self.variables.len();
        for (key, item) in items {
            match branch.pipe.variables.as_slice() {
                [] => {}
                [one] => self.bind(one, item.clone(), &branch.pipe)?,
                [index, one, ..] => {
                    self.bind(index, key, &branch.pipe)?;
                    self.bind(one, item.clone(), &branch.pipe)?;
                }
            }
            let flow = self.list(&item, &branch.then)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn bind(&mut self, name: &str, value: Value, pipe: &Pipe) -> Outcome<()> {
        if !pipe.assigns {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let mut known = self.variables.iter_mut().rev();
        if let Some(known) = known.find(|(known, _)| known == name) {
            known.1 = value;
            return Ok(());
        }
        Err(self.fail(pipe.place(), format!("undefined variable: {name}")))
    }

    fn pipe(&mut self, dot: &Value, pipe: &'a Pipe) -> Outcome<Value> {
        let value = self.pipe_value(dot, pipe)?;
        for name in &pipe.variables {
            self.bind(name, value.clone(), pipe)?;
        }
        Ok(value)
    }

    /// The value of a pipe; its variables are the caller's matter.
    fn pipe_value(&mut self, dot: &Value, pipe: &'a Pipe) -> Outcome<Value> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        dot: &Value,
        command: &'a Command,
        last: Option<Value>,
    ) -> Outcome<Value> {
        self.spend(command.place, 1)?;
        let Some((first, rest)) = command.operands.split_first() else {
            return Ok(Value::Nil);
        };
        if let OperandKind::Function(function) = &first.kind {
            return self.function(dot, command, function, last);
        }
        if matches!(first.kind, OperandKind::Nil) {
            return Err(self.fail(first.place, "nil is not a command"));
        }
        if rest.is_empty() && last.is_none() {
            return self.operand(dot, first);
        }
        let message = match &first.kind {
            OperandKind::Field(names)
            | OperandKind::Variable(_, names)
            | OperandKind::Chain(_, names)
                if !names.is_empty() =>
            {
                let name = names.last().map_or("", String::as_str);
                format!("{name} is not a method but has arguments")
            }
            _ => format!(
                "can't give argument to non-function {}",
                self.slice(first.place)
            ),
        };
        Err(self.fail(first.place, message))
    }

    fn function(
        &mut self,
        dot: &Value,
        command: &'a Command,
        function: &'static functions::Function,
        last: Option<Value>,
    ) -> Outcome<Value> {
        let operands = &command.operands[1..];
        let given = operands.len() + usize::from(last.is_some());
        if given < function.min_args || function.max_args.is_some_and(|max| given > max) {
            let wanted = match function.max_args {
                Some(max) => format!("want {max} got {given}"),
                None => format!("want at least {} got {given}", function.min_args),
            };
            let message = format!("wrong number of args for {}: {wanted}", function.name);
            return Err(self.fail(command.operands[0].place, message));
        }
        if matches!(function.call, Call::And | Call::Or) {
            return self.logic(dot, operands, last, matches!(function.call, Call::And));
        }
        let mut args = Vec::with_capacity(given);
        for operand in operands {
            args.push((self.operand(dot, operand)?, operand.place));
        }
        if let Some(last) = last {
            // Go is still at the operand that it has evaluated last.
            let place = command
                .operands
                .last()
                .map_or(command.place, |operand| operand.place);
            args.push((last, place));
        }
        for (at, (arg, place)) in args.iter().enumerate() {
            if let Some(problem) = function.mismatch(at, arg) {
                return Err(self.fail(*place, problem));
            }
        }
        let args: Vec<Value> = args.into_iter().map(|(value, _)| value).collect();
        self.spend(command.place, function.work())?;
        let value = functions::call(function, &args, self.context).map_err(|message| {
            let message = format!("error calling {}: {message}", function.name);
            self.fail(command.place, message)
        })?;
        if let Value::Text(text) = &value {
            self.spend(command.place, text.len() / 16)?;
        }
        Ok(value)
    }

    /// `and` and `or` look at no more arguments than they need.
    fn logic(
        &mut self,
        dot: &Value,
        operands: &'a [Operand],
        last: Option<Value>,
        is_and: bool,
    ) -> Outcome<Value> {
        let mut value = Value::Nil;
        for operand in operands {
            value = self.operand(dot, operand)?;
            if value.is_true() != is_and {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn operand(&mut self, dot: &Value, operand: &'a Operand) -> Outcome<Value> {
        let place = operand.place;
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Ok(Value::Nil),
            OperandKind::Bool(value) => Ok(Value::Bool(*value)),
            OperandKind::Number(number) => Ok(match number.integer {
                Some(integer) if number.is_integer => Value::Int(integer),
                _ => Value::Float(number.float),
            }),
            OperandKind::Text(text) => Ok(Value::text(&**text)),
            OperandKind::Field(names) => self.fields(dot.clone(), names, place),
            OperandKind::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = known.map_or(Value::Nil, |(_, value)| value.clone());
                self.fields(value, names, place)
            }
            OperandKind::Chain(inner, names) => {
                let value = self.operand(dot, inner)?;
                self.fields(value, names, place)
            }
            OperandKind::Pipe(pipe) => self.pipe(dot, pipe),
            OperandKind::Function(function) => {
                // As an argument a function stands alone: `printf "%s" externalURL`.
                if function.min_args > 0 {
                    let message = format!(
                        "wrong number of args for {}: want {} got 0",
                        function.name, function.min_args
                    );
                    return Err(self.fail(place, message));
                }
                functions::call(function, &[], self.context)
                    .map_err(|e| self.fail(place, format!("error calling {}: {e}", function.name)))
            }
        }
    }

    fn fields(&mut self, value: Value, names: &[String], place: Place) -> Outcome<Value> {
        let mut value = value;
        for name in names {
            value = self.field(&value, name, place)?;
        }
        Ok(value)
    }

    fn field(&self, value: &Value, name: &str, place: Place) -> Outcome<Value> {
        let shared = self.context.shared;
        let found = match value {
            Value::Root => match name {
                "Labels" => Some(Value::Labels(self.context.labels.clone())),
                "ExternalLabels" => Some(Value::Labels(shared.external_labels.clone())),
                "ExternalURL" => Some(Value::text(shared.external_url)),
                "Value" => Some(Value::Float(self.context.value)),
                _ => None,
            },
            Value::Sample(sample) => match name {
                "Labels" => Some(Value::Labels(sample.labels.clone())),
                "Value" => Some(Value::Float(sample.point.value)),
                _ => None,
            },
            // Of a map of strings, what is missing is empty; of a map of anything, it is nothing.
            Value::Labels(_) | Value::Map(_) => Some(builtins::entry(value, name)),
            Value::Time(milliseconds) => time::method(*milliseconds, name),
            Value::Nil => Some(Value::Nil),
            Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Samples(_) => None,
        };
        found.ok_or_else(|| {
            let message = format!("can't evaluate field {name} in type {}", value.type_name());
            self.fail(place, message)
        })
    }
}
