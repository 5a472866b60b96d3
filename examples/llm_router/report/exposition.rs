//! Parses the subset of Prometheus' text format that the report needs.

use std::collections::BTreeMap;

/// One sample of `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// The samples of one scrape.
#[derive(Debug, Default)]
pub(crate) struct Scrape(Vec<Sample>);

impl Scrape {
    /// Parses all samples; the error holds the first line that is not a sample.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| line.to_owned()));
        samples.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the samples of `name` that have all of `labels`.
    pub(crate) fn select<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| {
                sample
                    .labels
                    .get(*label)
                    .is_some_and(|found| found == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(|letter: char| letter == '{' || letter.is_whitespace())?;
    let (name, rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ']);
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, quoted) = inside.split_once("=\"")?;
            let (value, after) = unquote(quoted)?;
            labels.insert(label.to_owned(), value);
            inside = after;
        }
    }
    // A timestamp or an exemplar may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Returns the text up to the closing quote, and the rest.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let text = "# HELP a_total Things.\na_total{x=\"1\",y=\"q\\\"}\\\\ \\n\"} 3\na_total{x=\"2\"} 4 1700000000\nb 1.5 # {} 1\nc +Inf\n";
        let scrape = Scrape::parse(text).unwrap();
        let values = |name, labels| {
            scrape
                .select(name, labels)
                .map(|sample| sample.value)
                .collect::<Vec<_>>()
        };
        assert_eq!(values("a_total", &[]), [3.0, 4.0]);
        assert_eq!(values("a_total", &[("y", "q\"}\\ \n")]), [3.0]);
        assert_eq!(values("b", &[]), [1.5]);
        assert_eq!(values("c", &[]), [f64::INFINITY]);
        assert_eq!(Scrape::parse("a{x=\"1} 2").unwrap_err(), "a{x=\"1} 2");
    }
}
