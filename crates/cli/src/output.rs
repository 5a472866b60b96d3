//! Prints tables and colours.

use std::{
    fmt,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    process,
};

use serde_json::Value;

/// Writes to standard output as `print!` does, by [`write`](write()).
macro_rules! out {
    ($($part:tt)*) => {
        $crate::output::write(format_args!($($part)*))
    };
}

/// Writes a line to standard output as `println!` does, by [`write`](write()).
macro_rules! outln {
    ($($part:tt)*) => {
        $crate::output::write(format_args!("{}\n", format_args!($($part)*)))
    };
}

/// The exit code of a command whose reader has closed the pipe, as in shells: 128 and the number of `SIGPIPE`.
const CLOSED_PIPE: i32 = 141;

/// Writes to standard output. A closed pipe (`… | head -1`) ends the command without a message, as with other tools.
pub(crate) fn write(text: fmt::Arguments<'_>) {
    let Err(error) = io::stdout().lock().write_fmt(text) else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(CLOSED_PIPE);
    }
    eprintln!("the output cannot be written: {error}");
    process::exit(1);
}

/// The columns of a terminal that every output fits in, as far as its values allow.
const WIDTH: usize = 80;

/// Prints rows as a table. The last column takes the rest of the line and is cut at its end.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = header.len();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(header[at].chars().count())
    };
    let mut widths: Vec<usize> = (0..columns).map(width).collect();
    let fixed: usize = widths[..columns - 1].iter().map(|width| width + 2).sum();
    widths[columns - 1] = widths[columns - 1].min(WIDTH.saturating_sub(fixed).max(16));
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| {
            let cell = cut(cell, *width);
            let gap = width - cell.chars().count();
            format!("{cell}{:gap$}", "")
        });
        let cells: Vec<String> = cells.collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = line(&header);
    text.extend(rows.iter().map(|row| line(row)));
    text
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Colours a text if standard output is a terminal and `NO_COLOR` is not set.
pub(crate) fn coloured(text: &str, is_good: bool) -> String {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if is_plain || !std::io::stdout().is_terminal() {
        return text.to_owned();
    }
    let colour = if is_good { 32 } else { 31 };
    format!("\x1b[{colour}m{text}\x1b[0m")
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &Value) {
    outln!(
        "{}",
        serde_json::to_string_pretty(value).unwrap_or_default()
    );
}

/// Returns a field as a text: a string without quotes, another value as JSON.
pub(crate) fn field(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Formats labels as `{a="b", c="d"}`.
pub(crate) fn labels(value: Option<&Value>) -> String {
    let Some(Value::Object(labels)) = value else {
        return "{}".to_owned();
    };
    let name = labels.get("__name__").and_then(Value::as_str).unwrap_or("");
    let pairs = labels
        .iter()
        .filter(|(key, _)| *key != "__name__")
        .map(|(key, value)| format!("{key}={value}"));
    let pairs: Vec<String> = pairs.collect();
    format!("{name}{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_into_eighty_columns() {
        let rows = [vec!["a".to_owned(), "x".repeat(100)]];
        let text = table(&["NAME", "VALUE"], &rows);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(
            text.starts_with("NAME  VALUE\na     xxx") && text.ends_with("…\n"),
            "{text}"
        );
    }
}
