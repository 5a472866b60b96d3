//! Executes a template: walks its tree and writes its text, as Go's `text/template` does.

mod operand;

use std::borrow::Cow;
use std::sync::Arc;

use super::ast::{Branch, Command, Node, Operand, OperandKind, Pipe, Place, Tree};
use super::escape::{self, Escape};
use super::functions::Call;
use super::library::{Library, is_empty};
use super::value::{ListKind, Value};
use super::{Context, TemplateError, format, functions, json};

/// Depth of nested calls of templates.
const MAX_CALL_DEPTH: usize = 100;
/// Depth of nested branches, loops and calls together: each takes room on the stack.
const MAX_DEPTH: usize = 250;
/// Bytes of text that count as one unit of work.
const BYTES_PER_UNIT: usize = 16;
/// Units of work to read an alert of a list.
const WORK_UNITS_PER_ALERT: usize = 4;

/// Limits of one execution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Units of work: a node is one unit, as are [`BYTES_PER_UNIT`] bytes of text.
    pub(super) work_units: usize,
    /// Bytes of the output, and of every text in between.
    pub(super) output_bytes: usize,
}

/// The inputs of an execution besides the template and its dot.
pub(super) struct Inputs<'a> {
    /// The element of a rule's template.
    pub(super) rule: Option<&'a Context<'a>>,
    /// Templates that the text may call beside its own, the first library first.
    pub(super) libraries: &'a [&'a Library],
    /// The time that `since` counts to, in milliseconds since the epoch.
    pub(super) now_ms: i64,
    /// The escaping of values that actions write.
    pub(super) escape: Escape,
    /// The text of a value that is nil.
    pub(super) nil_text: &'static str,
    pub(super) limits: Limits,
}

/// Executes a template with this dot.
pub(super) fn execute(
    tree: &Tree,
    dot: &Value,
    inputs: &Inputs<'_>,
) -> Result<String, TemplateError> {
    let mut exec = Exec {
        root: tree,
        tree,
        inputs,
        template: &tree.name,
        out: String::new(),
        variables: vec![("$".to_owned(), dot.clone())],
        work_units: 0,
        calls: 0,
        depth: 0,
    };
    exec.list(dot, &tree.main)?;
    Ok(exec.out)
}

struct Exec<'a> {
    /// The tree of the executed template: its own definitions come before those of the libraries.
    root: &'a Tree,
    /// The tree of the current node.
    tree: &'a Tree,
    inputs: &'a Inputs<'a>,
    /// The name of the current template.
    template: &'a str,
    out: String,
    variables: Vec<(String, Value)>,
    work_units: usize,
    calls: usize,
    depth: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Next,
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
            self.tree.name, self.template
        ))
    }

    fn spend(&mut self, place: Place, work_units: usize) -> Outcome<()> {
        self.work_units = self.work_units.saturating_add(work_units);
        if self.work_units > self.inputs.limits.work_units {
            return Err(self.fail(place, "the template takes too long"));
        }
        Ok(())
    }

    fn write(&mut self, place: Place, text: &str) -> Outcome<()> {
        let max_bytes = self.inputs.limits.output_bytes;
        if self.out.len() + text.len() > max_bytes {
            let message = format!("the text is longer than {max_bytes} bytes");
            return Err(self.fail(place, message));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Writes the value of an action.
    fn write_value(&mut self, place: Place, value: &Value) -> Outcome<()> {
        let text: Cow<'_, str> = match (self.inputs.escape, value) {
            (_, Value::Safe(text)) => Cow::Borrowed(text),
            (Escape::Json, Value::Json(text)) => Cow::Borrowed(text),
            (Escape::Json, value) => json::encode(value).into(),
            (Escape::Plain, Value::Text(text)) => Cow::Borrowed(text),
            (Escape::Plain, value) => format::printed(value, self.inputs.nil_text).into(),
            (Escape::Slack, value) => {
                escape::slack(&format::printed(value, self.inputs.nil_text)).into()
            }
            #[cfg(any(test, feature = "email"))]
            (Escape::Html, value) => {
                escape::html(&format::printed(value, self.inputs.nil_text)).into()
            }
        };
        self.spend(place, text.len() / BYTES_PER_UNIT)?;
        self.write(place, &text)
    }

    fn list(&mut self, dot: &Value, nodes: &'a [Node]) -> Outcome<Flow> {
        if self.depth >= MAX_DEPTH {
            return Err(self.fail(Place::default(), "exceeded maximum depth of nested actions"));
        }
        self.depth += 1;
        let mut flow = Flow::Next;
        for node in nodes {
            flow = self.node(dot, node)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, dot: &Value, node: &'a Node) -> Outcome<Flow> {
        self.spend(Place::default(), 1)?;
        match node {
            Node::Text(text) => self.write(Place::default(), text)?,
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.write_value(pipe.place(), &value)?;
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
        Ok(Flow::Next)
    }

    fn call(&mut self, name: &'a str, data: &Value, place: Place) -> Outcome<()> {
        let Some((tree, nodes)) = self.find(name) else {
            let context = format!("{{{{template {name:?}}}}}");
            let message = format!("template {name:?} not defined");
            return Err(self.fail_in(place, &context, &message));
        };
        if self.calls >= MAX_CALL_DEPTH {
            return Err(self.fail(place, "exceeded maximum template depth"));
        }
        self.calls += 1;
        let variables = vec![("$".to_owned(), data.clone())];
        let variables = std::mem::replace(&mut self.variables, variables);
        let (caller, caller_tree) = (self.template, self.tree);
        (self.template, self.tree) = (name, tree);
        self.list(data, nodes)?;
        (self.template, self.tree) = (caller, caller_tree);
        self.variables = variables;
        self.calls -= 1;
        Ok(())
    }

    /// Finds a template by name: a definition of the executed text comes before the definitions of the libraries, so
    /// that a text can replace a part of a default template. An empty definition replaces nothing, as in Go.
    fn find(&self, name: &str) -> Option<(&'a Tree, &'a [Node])> {
        let own = self.root.defined.get(name);
        let own = own.map(|nodes| (self.root, nodes.as_slice()));
        let libraries = self.inputs.libraries.iter();
        let mut entries = own
            .into_iter()
            .chain(libraries.filter_map(|library| library.get(name)));
        let first = entries.next()?;
        if is_empty(first.1) {
            return entries.find(|(_, nodes)| !is_empty(nodes)).or(Some(first));
        }
        Some(first)
    }

    fn range(&mut self, dot: &Value, branch: &'a Branch) -> Outcome<Flow> {
        let value = self.pipe_value(dot, &branch.pipe)?;
        let items = match &value {
            Value::Nil => Vec::new(),
            Value::Labels(labels) => labels
                .iter()
                .map(|l| (Value::text(l.name()), Value::text(l.value())))
                .collect(),
            Value::Kv(pairs) => pairs
                .iter()
                .map(|(name, value)| (Value::text(&**name), Value::text(&**value)))
                .collect(),
            Value::List(list) => list
                .items
                .iter()
                .enumerate()
                .map(|(index, item)| (Value::size(index), item.clone()))
                .collect(),
            Value::Map(map) => map
                .entries
                .iter()
                .map(|(key, value)| (Value::text(&**key), value.clone()))
                .collect(),
            Value::Samples(samples) => samples
                .iter()
                .enumerate()
                .map(|(at, sample)| (Value::size(at), Value::Sample(Arc::clone(sample))))
                .collect(),
            other => {
                let message = format!("range can't iterate over {}", format::plain(other));
                return Err(self.fail(branch.pipe.place(), message));
            }
        };
        if items.is_empty() {
            return self.list(dot, &branch.otherwise);
        }
        self.spend(branch.pipe.place(), items.len())?;
        let known = self.variables.len();
        for (key, item) in items {
            match branch.pipe.variables.as_slice() {
                [] => {}
                [element] => self.bind(element, item.clone(), &branch.pipe)?,
                [index, element, ..] => {
                    self.bind(index, key, &branch.pipe)?;
                    self.bind(element, item.clone(), &branch.pipe)?;
                }
            }
            let flow = self.list(&item, &branch.then)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
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

    /// Evaluates a pipe. The caller assigns the variables of the pipe.
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
        let (names, receiver) = match &first.kind {
            OperandKind::Field(names) => (names, dot.clone()),
            OperandKind::Variable(name, names) => (names, self.variable(name)),
            OperandKind::Chain(inner, names) => (names, self.operand(dot, inner)?),
            _ => (&NO_NAMES, Value::Nil),
        };
        let Some((method, names)) = names.split_last() else {
            let message = format!(
                "can't give argument to non-function {}",
                self.slice(first.place)
            );
            return Err(self.fail(first.place, message));
        };
        let receiver = self.fields(receiver, names, first.place)?;
        let mut args = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            args.push(self.operand(dot, operand)?);
        }
        args.extend(last);
        self.method(&receiver, method, &args, first.place)
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
            let expected = match function.max_args {
                Some(max) => format!("want {max} got {given}"),
                None => format!("want at least {} got {given}", function.min_args),
            };
            let message = format!("wrong number of args for {}: {expected}", function.name);
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
            // Go reports the place of the operand that it has evaluated last.
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
        let work_units: usize = args.iter().map(work_of).sum();
        self.spend(command.place, function.work() + work_units)?;
        let value = functions::call(function, &args, self.inputs).map_err(|message| {
            let message = format!("error calling {}: {message}", function.name);
            self.fail(command.place, message)
        })?;
        self.spend(command.place, work_of(&value))?;
        Ok(value)
    }

    /// Evaluates `and` and `or`, which stop at the argument that decides the result.
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
}

/// The names of an operand that has no fields.
static NO_NAMES: Vec<String> = Vec::new();

/// Units of work to read or to make a value, by its size.
fn work_of(value: &Value) -> usize {
    match value {
        Value::List(list) if list.kind == ListKind::Alerts => {
            list.items.len().saturating_mul(WORK_UNITS_PER_ALERT)
        }
        Value::List(list) => list.items.len(),
        Value::Kv(pairs) => pairs.len(),
        value => value
            .as_text()
            .map_or(0, |text| text.len() / BYTES_PER_UNIT),
    }
}
