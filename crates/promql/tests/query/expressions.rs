//! The chosen queries of `expressions.txt`.

use super::generator;

const TEXT: &str = include_str!("expressions.txt");

/// Queries that a line of the file cannot hold.
const ODD: [&str; 3] = ["", "#", "# c\n1"];

pub(crate) fn chosen() -> Vec<String> {
    let mut all: Vec<String> = ODD.iter().map(|query| (*query).to_owned()).collect();
    let mut lines = TEXT
        .lines()
        .filter(|line| !line.starts_with('#'))
        .peekable();
    while let Some(line) = lines.next() {
        let mut names = Vec::new();
        while let Some(name) = lines.next_if(|line| line.starts_with('|')) {
            let name = name.strip_prefix("| ").unwrap_or("");
            match name.strip_prefix('@') {
                Some(list) => names.extend_from_slice(generator::list(list)),
                None => names.push(name),
            }
        }
        if !names.is_empty() {
            all.extend(names.into_iter().map(|name| fill(line, name)));
        } else if !line.is_empty() {
            all.push(line.to_owned());
        }
    }
    all
}

/// The range of a subquery includes its closing bracket and its suffixes.
fn fill(template: &str, name: &str) -> String {
    match name.split_once(']') {
        Some((range, suffix)) if template.contains("[F]") => {
            template.replace("[F]", &format!("[{range}]{suffix}"))
        }
        _ => template.replace('F', name),
    }
}
