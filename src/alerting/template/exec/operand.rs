//! Evaluates operands: constants, variables, fields and methods.

use super::super::TemplateError;
use super::super::ast::{Operand, OperandKind, Place};
use super::super::functions;
use super::super::members;
use super::super::value::Value;
use super::{Exec, Outcome, work_of};

impl<'a> Exec<'a> {
    pub(super) fn operand(&mut self, dot: &Value, operand: &'a Operand) -> Outcome<Value> {
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
                let value = self.variable(name);
                self.fields(value, names, place)
            }
            OperandKind::Chain(inner, names) => {
                let value = self.operand(dot, inner)?;
                self.fields(value, names, place)
            }
            OperandKind::Pipe(pipe) => self.pipe(dot, pipe),
            OperandKind::Function(function) => {
                // An argument that is a function has no arguments: `printf "%s" externalURL`.
                if function.min_args > 0 {
                    let message = format!(
                        "wrong number of args for {}: want {} got 0",
                        function.name, function.min_args
                    );
                    return Err(self.fail(place, message));
                }
                functions::call(function, &[], self.inputs)
                    .map_err(|e| self.fail(place, format!("error calling {}: {e}", function.name)))
            }
        }
    }

    pub(super) fn fields(
        &mut self,
        value: Value,
        names: &[String],
        place: Place,
    ) -> Outcome<Value> {
        let mut value = value;
        for name in names {
            value = match members::method(&value, name, &[]) {
                Some(result) => {
                    let result = result.map_err(|message| self.fail(place, message))?;
                    self.spend(place, work_of(&value) + work_of(&result))?;
                    result
                }
                None => members::field(&value, name, self.inputs)
                    .ok_or_else(|| self.no_field(&value, name, place))?,
            };
        }
        Ok(value)
    }

    fn no_field(&self, value: &Value, name: &str, place: Place) -> TemplateError {
        let message = format!("can't evaluate field {name} in type {}", value.type_name());
        self.fail(place, message)
    }

    pub(super) fn variable(&self, name: &str) -> Value {
        let mut known = self.variables.iter().rev();
        let known = known.find(|(known, _)| known == name);
        known.map_or(Value::Nil, |(_, value)| value.clone())
    }

    pub(super) fn method(
        &mut self,
        receiver: &Value,
        name: &str,
        args: &[Value],
        place: Place,
    ) -> Outcome<Value> {
        let Some(result) = members::method(receiver, name, args) else {
            if members::field(receiver, name, self.inputs).is_none() {
                return Err(self.no_field(receiver, name, place));
            }
            let message = format!("{name} is not a method but has arguments");
            return Err(self.fail(place, message));
        };
        let value = result.map_err(|message| self.fail(place, message))?;
        self.spend(place, work_of(receiver) + work_of(&value))?;
        Ok(value)
    }
}
