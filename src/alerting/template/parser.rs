//! Parses tokens into a tree, with the checks that Go makes before it executes a template.

use std::collections::HashMap;

use super::TemplateError;
use super::ast::{Branch, Command, Node, Operand, OperandKind, Pipe, Place, Tree};
use super::functions::{self, Dialect};
use super::lexer::{self, Token};
use super::library::is_empty;
use super::number;

/// Depth of nested actions and parentheses.
const MAX_NESTING_DEPTH: usize = 100;

pub(super) fn parse(name: String, text: String, dialect: Dialect) -> Result<Tree, TemplateError> {
    let tokens = lexer::tokens(&name, &text)?;
    let mut parser = Parser {
        name: &name,
        text: &text,
        dialect,
        tokens,
        at: 0,
        variables: vec!["$".to_owned()],
        loops: 0,
        nesting: 0,
        defined: HashMap::new(),
    };
    let (main, end) = parser.list(true)?;
    if let End::Word(word) = end {
        return Err(parser.error(&format!("unexpected {{{{{word}}}}}")));
    }
    let defined = parser.defined;
    Ok(Tree {
        name,
        text,
        main,
        defined,
    })
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    dialect: Dialect,
    tokens: Vec<(Token, Place)>,
    at: usize,
    variables: Vec<String>,
    loops: usize,
    nesting: usize,
    defined: HashMap<String, Vec<Node>>,
}

/// The end of a list of nodes.
#[derive(PartialEq)]
enum End {
    Text,
    /// `end` or `else`.
    Word(&'static str),
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        // The lexer ends with `End`, and `next` never passes it.
        self.tokens.get(self.at).map_or(&Token::End, |t| &t.0)
    }

    fn place(&self) -> Place {
        self.tokens.get(self.at).map(|t| t.1).unwrap_or_default()
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn skip_spaces(&mut self) {
        while *self.peek() == Token::Space {
            self.at += 1;
        }
    }

    fn error(&self, message: &str) -> TemplateError {
        lexer::error_at(self.name, self.text, self.place().start, message)
    }

    fn unexpected(&self, context: &str) -> TemplateError {
        let place = self.place();
        let token = match self.peek() {
            Token::End => "EOF".to_owned(),
            _ => format!("{:?}", self.text.get(place.start..place.end).unwrap_or("")),
        };
        self.error(&format!("unexpected {token} in {context}"))
    }

    fn enter(&mut self) -> Result<(), TemplateError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING_DEPTH {
            return Err(self.error("template is nested too deeply"));
        }
        Ok(())
    }

    /// Reads nodes up to `end`, `else` or the end of the text.
    fn list(&mut self, is_top: bool) -> Result<(Vec<Node>, End), TemplateError> {
        self.enter()?;
        let mut nodes = Vec::new();
        let end = loop {
            match self.next() {
                Token::End => break End::Text,
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::Open => {
                    self.skip_spaces();
                    let word = match self.peek() {
                        Token::Word(word) => word.clone(),
                        _ => String::new(),
                    };
                    match word.as_str() {
                        "end" => {
                            self.next();
                            self.close("end")?;
                            break End::Word("end");
                        }
                        "else" => {
                            self.next();
                            break End::Word("else");
                        }
                        "define" if is_top => self.define()?,
                        _ => nodes.push(self.action(&word)?),
                    }
                }
                _ => return Err(self.unexpected("input")),
            }
        };
        self.nesting -= 1;
        Ok((nodes, end))
    }

    fn action(&mut self, word: &str) -> Result<Node, TemplateError> {
        match word {
            "if" => Ok(Node::If(self.branch("if")?)),
            "with" => Ok(Node::With(self.branch("with")?)),
            "range" => Ok(Node::Range(self.branch("range")?)),
            "template" => self.template(),
            "block" => self.block(),
            "break" | "continue" => {
                self.next();
                self.close(word)?;
                if self.loops == 0 {
                    return Err(self.error(&format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                let is_break = word == "break";
                Ok(if is_break {
                    Node::Break
                } else {
                    Node::Continue
                })
            }
            "define" => Err(self.error("unexpected {{define}}")),
            _ => Ok(Node::Action(self.pipe("command", &Token::Close)?)),
        }
    }

    fn close(&mut self, context: &str) -> Result<(), TemplateError> {
        self.skip_spaces();
        if *self.peek() != Token::Close {
            return Err(self.unexpected(context));
        }
        self.next();
        Ok(())
    }

    /// Parses `{{if a}}…{{else if b}}…{{else}}…{{end}}`, and the same with `with` and `range`.
    fn branch(&mut self, context: &'static str) -> Result<Branch, TemplateError> {
        self.enter()?;
        self.next();
        let known = self.variables.len();
        let pipe = self.pipe(context, &Token::Close)?;
        let is_loop = context == "range";
        self.loops += usize::from(is_loop);
        let (then, end) = self.list(false)?;
        self.loops -= usize::from(is_loop);
        let otherwise = match end {
            End::Text => return Err(self.error("unexpected EOF")),
            End::Word("else") => self.otherwise(context)?,
            End::Word(_) => Vec::new(),
        };
        self.variables.truncate(known);
        self.nesting -= 1;
        Ok(Branch {
            pipe,
            then,
            otherwise,
        })
    }

    fn otherwise(&mut self, context: &'static str) -> Result<Vec<Node>, TemplateError> {
        self.skip_spaces();
        if let Token::Word(word) = self.peek().clone() {
            // One `{{end}}` closes a chain of `{{else if}}`; since Go 1.23 also one of `{{else with}}`.
            return match (context, word.as_str()) {
                ("if", "if") => Ok(vec![Node::If(self.branch("if")?)]),
                ("with", "with") => Ok(vec![Node::With(self.branch("with")?)]),
                _ => Err(self.unexpected("else")),
            };
        }
        self.close("else")?;
        let (nodes, end) = self.list(false)?;
        match end {
            End::Word("end") => Ok(nodes),
            End::Word(_) => Err(self.error("expected end; found {{else}}")),
            End::Text => Err(self.error("unexpected EOF")),
        }
    }

    fn quoted_name(&mut self, context: &str) -> Result<(String, Place), TemplateError> {
        self.next();
        self.skip_spaces();
        let Token::Quoted(name) = self.peek().clone() else {
            return Err(self.unexpected(context));
        };
        let place = self.place();
        self.next();
        self.skip_spaces();
        Ok((name, place))
    }

    fn template(&mut self) -> Result<Node, TemplateError> {
        let (name, place) = self.quoted_name("template clause")?;
        let data = if *self.peek() == Token::Close {
            self.next();
            None
        } else {
            Some(self.pipe("template clause", &Token::Close)?)
        };
        Ok(Node::Call { name, data, place })
    }

    fn define(&mut self) -> Result<(), TemplateError> {
        let (name, _) = self.quoted_name("define clause")?;
        self.close("define clause")?;
        self.body(name)
    }

    fn block(&mut self) -> Result<Node, TemplateError> {
        let (name, place) = self.quoted_name("block clause")?;
        let data = Some(self.pipe("block clause", &Token::Close)?);
        self.body(name.clone())?;
        Ok(Node::Call { name, data, place })
    }

    /// Parses the body of a definition: the variables and loops around the definition are not visible in it.
    fn body(&mut self, name: String) -> Result<(), TemplateError> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, end) = self.list(false)?;
        if end != End::Word("end") {
            return Err(self.error("unexpected EOF"));
        }
        self.variables = outer;
        self.loops = loops;
        match self.defined.get(&name) {
            Some(known) if !is_empty(known) => {
                if !is_empty(&nodes) {
                    let message = format!("template: multiple definition of template {name:?}");
                    return Err(self.error(&message));
                }
            }
            _ => {
                self.defined.insert(name, nodes);
            }
        }
        Ok(())
    }

    fn pipe(&mut self, context: &str, end: &Token) -> Result<Pipe, TemplateError> {
        self.enter()?;
        self.skip_spaces();
        let (variables, assigns) = self.declarations(context)?;
        let mut commands = Vec::new();
        loop {
            self.skip_spaces();
            if self.peek() == end {
                self.next();
                break;
            }
            commands.push(self.command()?);
        }
        for (stage, command) in commands.iter().enumerate().skip(1) {
            let first = command.operands.first().map(|operand| &operand.kind);
            let is_constant = matches!(
                first,
                Some(
                    OperandKind::Dot
                        | OperandKind::Nil
                        | OperandKind::Bool(_)
                        | OperandKind::Number(_)
                        | OperandKind::Text(_)
                )
            );
            if is_constant {
                let stage = stage + 1;
                return Err(
                    self.error(&format!("non executable command in pipeline stage {stage}"))
                );
            }
        }
        if commands.is_empty() {
            return Err(self.error(&format!("missing value for {context}")));
        }
        // The variables are known from here on: in `{{$x := $x}}` the right side is an outer `$x`. Go accepts an unknown
        // variable in `{{$x = 1}}` as well, and fails only when it executes the action.
        self.variables.extend(variables.iter().cloned());
        self.nesting -= 1;
        Ok(Pipe {
            variables,
            assigns,
            commands,
        })
    }

    /// Parses `$x :=`, `$x =` and, in a range, `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Result<(Vec<String>, bool), TemplateError> {
        let start = self.at;
        let mut names = Vec::new();
        while let Token::Variable(name) = self.peek().clone() {
            self.next();
            self.skip_spaces();
            names.push(name);
            match self.peek() {
                Token::Comma if context == "range" && names.len() == 1 => {
                    self.next();
                    self.skip_spaces();
                }
                Token::Declare | Token::Assign => {
                    let assigns = self.next() == Token::Assign;
                    return Ok((names, assigns));
                }
                Token::Comma => {
                    return Err(self.error(&format!("too many declarations in {context}")));
                }
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn check_variable(&self, name: &str) -> Result<(), TemplateError> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(self.error(&format!("undefined variable {name:?}")))
    }

    fn command(&mut self) -> Result<Command, TemplateError> {
        let start = self.place().start;
        let mut operands = Vec::new();
        let mut end = start;
        loop {
            self.skip_spaces();
            let Some(operand) = self.operand()? else {
                break;
            };
            end = operand.place.end;
            operands.push(operand);
            match self.peek() {
                Token::Space => {}
                Token::Close | Token::RightParen | Token::Pipe => break,
                _ => return Err(self.unexpected("operand")),
            }
        }
        self.skip_spaces();
        match self.peek() {
            // Go lets a pipe end in a bar, too.
            Token::Pipe => {
                self.next();
            }
            Token::Close | Token::RightParen => {}
            _ => return Err(self.unexpected("command")),
        }
        if operands.is_empty() {
            return Err(self.error("empty command"));
        }
        let at = start;
        let place = Place { start, end, at };
        Ok(Command { operands, place })
    }

    /// Parses a term with the fields that follow without a space. Returns `None` if the next token begins no term.
    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let mut place = self.place();
        let kind = match self.peek().clone() {
            Token::Word(word) => match word.as_str() {
                "true" | "false" => OperandKind::Bool(word == "true"),
                "nil" => OperandKind::Nil,
                _ => OperandKind::Function(
                    functions::find(&word, self.dialect)
                        .ok_or_else(|| self.error(&format!("function {word:?} not defined")))?,
                ),
            },
            Token::Dot => OperandKind::Dot,
            Token::Variable(name) => {
                self.check_variable(&name)?;
                OperandKind::Variable(name, Vec::new())
            }
            Token::Field(name) => OperandKind::Field(vec![name]),
            Token::Number(text) => OperandKind::Number(
                number::parse(&text)
                    .ok_or_else(|| self.error(&format!("bad number syntax: {text:?}")))?,
            ),
            Token::Char(c) => OperandKind::Number(number::from_char(c)),
            Token::Quoted(text) => OperandKind::Text(text),
            Token::LeftParen => {
                self.next();
                let pipe = self.pipe("parenthesized pipeline", &Token::RightParen)?;
                // `pipe` has consumed the right parenthesis; the other kinds of terms are still to be consumed here.
                self.at -= 1;
                OperandKind::Pipe(pipe)
            }
            _ => return Ok(None),
        };
        place.end = self.place().end;
        self.next();
        let mut fields = Vec::new();
        if matches!(self.peek(), Token::Field(_)) {
            place.at = self.place().start;
        }
        while let Token::Field(name) = self.peek().clone() {
            place.end = self.place().end;
            self.next();
            fields.push(name);
        }
        let kind = match kind {
            kind if fields.is_empty() => kind,
            OperandKind::Field(mut first) => {
                first.extend(fields);
                OperandKind::Field(first)
            }
            OperandKind::Variable(name, _) => OperandKind::Variable(name, fields),
            OperandKind::Bool(_)
            | OperandKind::Number(_)
            | OperandKind::Text(_)
            | OperandKind::Nil
            | OperandKind::Dot => {
                return Err(self.error(&format!("unexpected . after term {:?}", self.slice(place))));
            }
            other => OperandKind::Chain(Box::new(Operand { kind: other, place }), fields),
        };
        Ok(Some(Operand { kind, place }))
    }

    fn slice(&self, place: Place) -> &str {
        self.text.get(place.start..place.end).unwrap_or("")
    }
}
