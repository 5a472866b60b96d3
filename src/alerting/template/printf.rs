//! Implements Go's `fmt.Sprintf` for the values of templates.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use super::escape::quoted;
use super::float;
use super::format::plain as plain_text;
use super::value::{ListKind, Value};
use super::{members, time};

/// Go: a width or precision beyond this is too large.
const MAX_WIDTH: usize = 1_000_000;
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the format, and any of them may stand"
)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// Characters after which padding stops: the caller refuses a text that is as long.
    max_chars: usize,
}

/// `fmt.Sprintf`. A result of more than `max_bytes` is incomplete.
pub(super) fn printf(format: &str, args: &[Value], max_bytes: usize) -> String {
    let max_chars = max_bytes.saturating_add(1);
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut args = args.iter();
    while let Some(c) = chars.next() {
        if out.len() > max_chars {
            return out;
        }
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = flags(&mut chars, &mut args).unwrap_or_else(|problem| {
            out.push_str(problem);
            Flags::default()
        });
        flags.max_chars = max_chars;
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.next() {
                None => {
                    let _ = write!(out, "%!{verb}(MISSING)");
                }
                Some(arg) => out.push_str(&formatted(verb, arg, &flags)),
            },
        }
    }
    let rest: Vec<_> = args.map(typed).collect();
    if !rest.is_empty() {
        let _ = write!(out, "%!(EXTRA {})", rest.join(", "));
    }
    out
}

/// `int=5`
fn typed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        value => format!("{}={}", value.type_name(), plain_text(value)),
    }
}

fn flags<'a>(
    chars: &mut Peekable<Chars<'_>>,
    args: &mut impl Iterator<Item = &'a Value>,
) -> Result<Flags, &'static str> {
    let mut flags = Flags::default();
    while let Some(&c) = chars.peek() {
        match c {
            '+' => flags.plus = true,
            '-' => flags.minus = true,
            '#' => flags.sharp = true,
            ' ' => flags.space = true,
            '0' => flags.zero = true,
            _ => break,
        }
        chars.next();
    }
    if chars.next_if_eq(&'*').is_some() {
        let width = star(args).ok_or("%!(BADWIDTH)")?;
        flags.minus |= width < 0;
        flags.width = usize::try_from(width.unsigned_abs()).ok();
    } else {
        flags.width = digits(chars);
    }
    if chars.next_if_eq(&'.').is_some() {
        flags.precision = if chars.next_if_eq(&'*').is_some() {
            let precision = star(args).ok_or("%!(BADPREC)")?;
            Some(usize::try_from(precision).map_err(|_| "%!(BADPREC)")?)
        } else {
            Some(digits(chars).unwrap_or(0))
        };
    }
    if flags.minus {
        flags.zero = false;
    }
    Ok(flags)
}

fn star<'a>(args: &mut impl Iterator<Item = &'a Value>) -> Option<i64> {
    match args.next() {
        Some(Value::Int(value)) if value.unsigned_abs() <= MAX_WIDTH as u64 => Some(*value),
        _ => None,
    }
}

fn digits(chars: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut number: Option<usize> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let next = number.unwrap_or(0) * 10 + digit as usize;
        number = Some(next.min(MAX_WIDTH));
    }
    number
}

fn formatted(verb: char, value: &Value, flags: &Flags) -> String {
    // Go: the plus of `%+v` asks for the names of fields.
    let plain = Flags {
        plus: flags.plus && verb != 'v',
        ..*flags
    };
    let flags = &plain;
    match (verb, value) {
        ('T', value) => padded(value.type_name(), flags),
        ('v', Value::Nil) => padded("<nil>", flags),
        (_, Value::Nil) => format!("%!{verb}(<nil>)"),
        ('t' | 'v', Value::Bool(value)) => padded(if *value { "true" } else { "false" }, flags),
        (_, Value::Int(value)) => integer(verb, *value, flags),
        (_, Value::Float(value)) => real(verb, *value, flags),
        (_, Value::Text(text) | Value::Safe(text) | Value::Json(text)) => string(verb, text, flags),
        ('v' | 's' | 'q' | 'x' | 'X', Value::Kv(pairs)) => {
            string(verb, &members::kv_text(pairs), flags)
        }
        ('v' | 's' | 'q' | 'x' | 'X', Value::List(list)) if list.kind == ListKind::Pairs => {
            string(verb, &members::pairs_text(list), flags)
        }
        ('s' | 'v' | 'q', Value::Time(time)) => string(verb, &time.printed(), flags),
        ('s' | 'v' | 'q', Value::Duration(nanoseconds)) => {
            string(verb, &time::printed_duration(*nanoseconds), flags)
        }
        (_, Value::Duration(nanoseconds)) => integer(verb, *nanoseconds, flags),
        (_, Value::List(list)) => {
            let items = list.items.iter().map(|item| formatted(verb, item, flags));
            format!("[{}]", items.collect::<Vec<_>>().join(" "))
        }
        (_, Value::Object(object)) => {
            let fields = object.fields.iter();
            let fields = fields.map(|field| formatted(verb, &field.value, flags));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(" "))
        }
        (_, Value::Labels(labels)) => {
            let item = |text: &str| formatted(verb, &Value::text(text), flags);
            let pairs = labels
                .iter()
                .map(|l| format!("{}:{}", item(l.name()), item(l.value())));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        (_, Value::Map(map)) => {
            let key = |text: &str| formatted(verb, &Value::text(text), flags);
            let pairs = map
                .entries
                .iter()
                .map(|(k, v)| format!("{}:{}", key(k), formatted(verb, v, flags)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        ('v' | 's', Value::Sample(_)) => padded(&format!("&{}", plain_text(value)), flags),
        ('v' | 's', value) => padded(&plain_text(value), flags),
        (_, value) => bad_verb(verb, value),
    }
}

fn bad_verb(verb: char, value: &Value) -> String {
    format!("%!{verb}({})", typed(value))
}

fn padded(text: &str, flags: &Flags) -> String {
    let length = text.chars().count();
    let missing = flags
        .width
        .unwrap_or(0)
        .min(flags.max_chars)
        .saturating_sub(length);
    if missing == 0 {
        return text.to_owned();
    }
    let fill = if flags.zero { "0" } else { " " }.repeat(missing);
    if flags.minus {
        format!("{text}{fill}")
    } else {
        format!("{fill}{text}")
    }
}

/// Puts zeros between the sign and the digits.
fn padded_number(sign: &str, digits: &str, flags: &Flags) -> String {
    if !flags.zero {
        return padded(&format!("{sign}{digits}"), flags);
    }
    let length = sign.len() + digits.chars().count();
    let missing = flags
        .width
        .unwrap_or(0)
        .min(flags.max_chars)
        .saturating_sub(length);
    format!("{sign}{}{digits}", "0".repeat(missing))
}

fn sign_of(is_negative: bool, flags: &Flags) -> &'static str {
    match (is_negative, flags.plus, flags.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn integer(verb: char, value: i64, flags: &Flags) -> String {
    let size = value.unsigned_abs();
    let (prefix, digits) = match verb {
        'd' | 'v' => ("", size.to_string()),
        'b' => (if flags.sharp { "0b" } else { "" }, format!("{size:b}")),
        'o' => (if flags.sharp { "0" } else { "" }, format!("{size:o}")),
        'O' => ("0o", format!("{size:o}")),
        'x' => (if flags.sharp { "0x" } else { "" }, format!("{size:x}")),
        'X' => (if flags.sharp { "0X" } else { "" }, format!("{size:X}")),
        'c' | 'q' | 'U' => {
            let c = u32::try_from(value)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}');
            return match verb {
                'c' => padded(c.encode_utf8(&mut [0; 4]), flags),
                'q' => padded(&format!("'{c}'"), flags),
                _ => padded(&format!("U+{value:04X}"), flags),
            };
        }
        _ => return bad_verb(verb, &Value::Int(value)),
    };
    let sign = format!("{}{prefix}", sign_of(value < 0, flags));
    match flags.precision {
        // A precision is a number of digits; with a precision, Go pads with spaces.
        Some(precision) => {
            let digits = format!("{digits:0>width$}", width = precision.min(flags.max_chars));
            padded(
                &format!("{sign}{digits}"),
                &Flags {
                    zero: false,
                    ..*flags
                },
            )
        }
        None => padded_number(&sign, &digits, flags),
    }
}

fn real(verb: char, value: f64, flags: &Flags) -> String {
    let precision = flags.precision.map(|precision| precision.min(1000));
    let size = value.abs();
    let digits = match verb {
        'v' | 'g' | 'G' => float::general(size, precision),
        'e' | 'E' => float::exponent(size, Some(precision.unwrap_or(6))),
        'f' | 'F' => float::fixed(size, Some(precision.unwrap_or(6))),
        _ => return bad_verb(verb, &Value::Float(value)),
    };
    let digits = match verb {
        'E' | 'G' => digits.replace('e', "E"),
        _ => digits,
    };
    if value.is_nan() || value.is_infinite() {
        // Go pads NaN and infinities with spaces.
        let sign = if value.is_nan() {
            ""
        } else {
            sign_of(value < 0.0, flags)
        };
        let name = digits.trim_start_matches('+');
        let sign = if sign.is_empty() && value.is_infinite() {
            "+"
        } else {
            sign
        };
        return padded(
            &format!("{sign}{name}"),
            &Flags {
                zero: false,
                ..*flags
            },
        );
    }
    padded_number(sign_of(value.is_sign_negative(), flags), &digits, flags)
}

fn string(verb: char, text: &str, flags: &Flags) -> String {
    let text: String = match flags.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    match verb {
        'v' | 's' => padded(&text, flags),
        'q' if flags.sharp && !text.contains('`') && !text.contains(char::is_control) => {
            padded(&format!("`{text}`"), flags)
        }
        'q' => padded(&quoted(&text), flags),
        'x' => padded(&hex(&text, false), flags),
        'X' => padded(&hex(&text, true), flags),
        _ => bad_verb(verb, &Value::text(text)),
    }
}

fn hex(text: &str, upper: bool) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        let _ = if upper {
            write!(out, "{byte:02X}")
        } else {
            write!(out, "{byte:02x}")
        };
    }
    out
}
