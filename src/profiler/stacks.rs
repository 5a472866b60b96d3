//! Weighted stacks of names, and the forms that every flame graph is written in.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use serde::Serialize;

use super::ProfilerError;

/// Weighted stacks of names, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stacks(BTreeMap<Vec<String>, u64>);

/// A node of a flame graph: the weight of its children is part of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) value: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<Node>,
}

/// The texts of a drawn flame graph.
#[cfg_attr(
    not(feature = "profiling"),
    expect(dead_code, reason = "nothing is drawn")
)]
pub(crate) struct Captions<'a> {
    pub(crate) title: &'a str,
    /// The unit of the weights.
    pub(crate) unit: &'a str,
    /// Sentences about the profile.
    pub(crate) notes: &'a [String],
}

impl Stacks {
    /// Adds weight to a stack.
    pub(crate) fn add(&mut self, stack: Vec<String>, weight: u64) {
        *self.0.entry(stack).or_default() += weight;
    }

    /// Adds all stacks of another set.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (stack, weight) in &other.0 {
            self.add(stack.clone(), *weight);
        }
    }

    /// Returns the sum of all weights.
    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Writes a line per stack, with names separated by semicolons and the weight at the end: the format of
    /// `flamegraph.pl` and speedscope.
    pub(crate) fn folded(&self) -> String {
        let mut lines = String::new();
        for (stack, weight) in &self.0 {
            let names: Vec<String> = stack.iter().map(|name| plain(name)).collect();
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{} {weight}", names.join(";"));
        }
        lines
    }

    /// Returns the tree of the stacks.
    pub(crate) fn tree(&self, root: &str) -> Node {
        let mut tree = Node {
            name: root.to_owned(),
            ..Node::default()
        };
        let mut places: HashMap<(usize, &str), usize> = HashMap::new();
        // An arena, since the nodes of a tree cannot be changed through two references.
        let mut arena: Vec<(String, u64, Vec<usize>)> = vec![(root.to_owned(), 0, Vec::new())];
        for (stack, weight) in &self.0 {
            let mut at = 0;
            arena[0].1 += weight;
            for name in stack {
                let place = *places.entry((at, name.as_str())).or_insert_with(|| {
                    arena.push((name.clone(), 0, Vec::new()));
                    let place = arena.len() - 1;
                    arena[at].2.push(place);
                    place
                });
                arena[place].1 += weight;
                at = place;
            }
        }
        // Children have higher places than their parents.
        let mut nodes: Vec<Option<Node>> = Vec::new();
        nodes.resize_with(arena.len(), || None);
        for place in (0..arena.len()).rev() {
            let (name, value, children) = std::mem::take(&mut arena[place]);
            let children = children.into_iter().filter_map(|child| nodes[child].take());
            nodes[place] = Some(Node {
                name,
                value,
                children: children.collect(),
            });
        }
        if let Some(Some(root)) = nodes.into_iter().next() {
            tree = root;
        }
        tree
    }

    /// Draws the flame graph as an SVG document.
    #[cfg(feature = "profiling")]
    pub(crate) fn svg(&self, captions: &Captions<'_>) -> Result<String, ProfilerError> {
        use inferno::flamegraph::{Options, from_lines};

        let Captions { title, unit, notes } = captions;
        if self.total() == 0 {
            return Ok(empty_svg(title, notes));
        }
        let mut options = Options::default();
        (*title).clone_into(&mut options.title);
        (*unit).clone_into(&mut options.count_name);
        options.subtitle = (!notes.is_empty()).then(|| notes.join(" "));
        // Equal profiles give equal documents.
        options.deterministic = true;
        let folded = self.folded();
        let mut document = Vec::new();
        from_lines(&mut options, folded.lines(), &mut document)
            .map_err(|error| ProfilerError::Drawing(error.to_string()))?;
        String::from_utf8(document).map_err(|error| ProfilerError::Drawing(error.to_string()))
    }

    /// Returns the error that names the feature.
    #[cfg(not(feature = "profiling"))]
    #[expect(clippy::unused_self, reason = "the signature with the feature")]
    pub(crate) fn svg(&self, _: &Captions<'_>) -> Result<String, ProfilerError> {
        Err(ProfilerError::NotCompiledIn("profiling"))
    }
}

/// Returns a name without the separators of the folded form.
fn plain(name: &str) -> String {
    name.replace(';', ":").replace(['\n', '\r'], " ")
}

/// Returns a document that says why there is nothing to draw.
#[cfg(feature = "profiling")]
fn empty_svg(title: &str, notes: &[String]) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let mut lines = format!(
        "<text x=\"10\" y=\"24\">{}: no samples</text>",
        escape(title)
    );
    for (index, note) in notes.iter().enumerate() {
        let y = 48 + 20 * index;
        // Writing to a string does not fail.
        let _ = write!(lines, "<text x=\"10\" y=\"{y}\">{}</text>", escape(note));
    }
    let height = 60 + 20 * notes.len();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"14\">{lines}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacks() -> Stacks {
        let mut stacks = Stacks::default();
        for (stack, weight) in [("a;b", 3), ("a;c", 2), ("a;b", 1), ("a", 4)] {
            stacks.add(stack.split(';').map(str::to_owned).collect(), weight);
        }
        stacks
    }

    #[test]
    fn equal_stacks_are_one_line_and_weights_add_up_in_the_tree() {
        assert_eq!(stacks().folded(), "a 4\na;b 4\na;c 2\n");
        let tree = stacks().tree("all");
        assert_eq!((tree.value, tree.children.len()), (10, 1));
        let children: Vec<_> = tree.children[0].children.iter().collect();
        let values: Vec<_> = children
            .iter()
            .map(|node| (&*node.name, node.value))
            .collect();
        assert_eq!(values, [("b", 4), ("c", 2)]);
    }

    #[test]
    fn a_name_cannot_break_a_line_of_the_folded_form() {
        let mut stacks = Stacks::default();
        stacks.add(vec!["fn(a; b)\nc".to_owned()], 1);
        assert_eq!(stacks.folded(), "fn(a: b) c 1\n");
    }

    #[cfg(feature = "profiling")]
    #[test]
    fn a_drawing_has_the_names_and_an_empty_one_the_reason() {
        let captions = |notes| Captions {
            title: "CPU",
            unit: "samples",
            notes,
        };
        let drawn = stacks().svg(&captions(&[])).unwrap();
        assert!(
            drawn.starts_with("<?xml") && drawn.contains("<title>b (4 samples, 40.00%)</title>")
        );
        let reason = ["the process was idle <1 %".to_owned()];
        let empty = Stacks::default().svg(&captions(&reason)).unwrap();
        assert!(empty.contains("idle &lt;1 %"), "{empty}");
    }
}
