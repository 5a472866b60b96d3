//! Defines the syntax tree of a template.

use std::collections::HashMap;

use super::functions::Function;

/// A template and the templates that its text defines.
#[derive(Debug)]
pub(super) struct Tree {
    /// The template's name in errors.
    pub(super) name: String,
    /// The text that places refer to.
    pub(super) text: String,
    pub(super) main: Vec<Node>,
    pub(super) defined: HashMap<String, Vec<Node>>,
}

/// Bytes `start..end` of the text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The position that Go reports: of `$x.a`, the position of the field.
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Call {
        name: String,
        data: Option<Pipe>,
        place: Place,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$x := a | b`
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) variables: Vec<String>,
    /// True if the pipe has `=` and not `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// A function and its arguments, or one operand.
#[derive(Debug)]
pub(super) struct Command {
    /// At least one operand.
    pub(super) operands: Vec<Operand>,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) kind: OperandKind,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum OperandKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text(String),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    /// `(…).a.b`
    Chain(Box<Operand>, Vec<String>),
    Function(&'static Function),
    Pipe(Pipe),
}

/// A number as written. Go gives a constant its type where the constant is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) integer: Option<i64>,
    pub(super) float: f64,
    /// True if the number is written as an integer.
    pub(super) is_integer: bool,
}

impl Pipe {
    /// The place of the first command.
    pub(super) fn place(&self) -> Place {
        self.commands.first().map_or(Place::default(), |c| c.place)
    }
}
