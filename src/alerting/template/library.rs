//! Keeps templates by name, so that other templates can call them.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Node, Tree};
use super::functions::Dialect;
use super::{MAX_MESSAGE_SOURCE_BYTES, TemplateError, parser};

/// Named templates: the contents of `*.tmpl` files.
#[derive(Debug, Default)]
pub(in crate::alerting) struct Library {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    tree: Arc<Tree>,
    /// True if the entry is the text of the file itself, outside its definitions.
    is_main: bool,
}

impl Library {
    /// Adds the definitions of a text, and the text itself under `name`. A later definition replaces an earlier one, but
    /// an empty one replaces nothing, as in Go.
    ///
    /// `place` stands for the text in errors.
    pub(in crate::alerting) fn add(
        &mut self,
        name: &str,
        place: &str,
        text: &str,
    ) -> Result<(), TemplateError> {
        super::check_length(text, MAX_MESSAGE_SOURCE_BYTES)?;
        let tree = parser::parse(place.to_owned(), text.to_owned(), Dialect::Message)?;
        let tree = Arc::new(tree);
        self.insert(name.to_owned(), Arc::clone(&tree), true);
        for defined in tree.defined.keys() {
            self.insert(defined.clone(), Arc::clone(&tree), false);
        }
        Ok(())
    }

    fn insert(&mut self, name: String, tree: Arc<Tree>, is_main: bool) {
        let entry = Entry { tree, is_main };
        let is_empty = entry.nodes(&name).is_none_or(is_empty);
        if !(is_empty && self.entries.contains_key(&name)) {
            self.entries.insert(name, entry);
        }
    }

    /// The template of this name, with the tree that its places refer to.
    pub(super) fn get(&self, name: &str) -> Option<(&Tree, &[Node])> {
        let entry = self.entries.get(name)?;
        Some((&*entry.tree, entry.nodes(name)?))
    }

    #[cfg(test)]
    pub(in crate::alerting) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

impl Entry {
    fn nodes(&self, name: &str) -> Option<&[Node]> {
        if self.is_main {
            Some(&self.tree.main)
        } else {
            self.tree.defined.get(name).map(Vec::as_slice)
        }
    }
}

/// Returns `true` if the nodes are at most blanks.
pub(super) fn is_empty(nodes: &[Node]) -> bool {
    nodes
        .iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
