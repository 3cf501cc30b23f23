//! Where everything lies in a document, noted while it is validated: reading then goes over no byte twice.
//!
//! Without it each level is searched for members by going over all that lies within them. It brought the reading of a
//! chat completion of 1 KB from 29,000 instructions to 18,000 (`cargo bench --bench observe` under callgrind).

use std::ops::Range;

use super::scan::Visit;
use super::{Text, Value};

/// Most values that are noted, 40 bytes each. A document of more, say with log probabilities, is read without an index.
const NODES_MAX: usize = 1024;

/// Room made at once, enough for most answers of one choice.
const NODES_USUAL: usize = 64;

/// The values of one document, each followed by those that lie in it.
#[derive(Debug, Default)]
pub struct Index<'a> {
    nodes: Vec<Node<'a>>,
}

/// A value and its name; an element's name is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    name: &'a str,
    /// While it is open, to the document's end.
    text: &'a str,
    /// How many of the nodes that follow lie in it; while it is open, the node that it lies in.
    inside: usize,
}

impl<'a> Index<'a> {
    /// Forgets what was noted, to note the values of `document`.
    pub(super) fn noting<'i>(&'i mut self, document: &'a str) -> Noting<'i, 'a> {
        self.nodes.clear();
        self.nodes.reserve(NODES_USUAL);
        Noting {
            document,
            nodes: &mut self.nodes,
            most: NODES_MAX,
            open: 0,
        }
    }

    /// What lies in the document's value; empty if that is too much.
    pub(super) fn inside(&self) -> &[Node<'a>] {
        self.nodes.get(1..).unwrap_or_default()
    }
}

/// Notes values as they are told of.
pub(super) struct Noting<'i, 'a> {
    document: &'a str,
    nodes: &'i mut Vec<Node<'a>>,
    /// Most nodes there may be; none any more once there would have been too many.
    most: usize,
    /// The innermost container that is open.
    open: usize,
}

impl<'a> Noting<'_, 'a> {
    fn note(&mut self, name: Range<usize>, text: &'a str, inside: usize) {
        if self.nodes.len() < self.most {
            let name = &self.document[name];
            self.nodes.push(Node { name, text, inside });
        } else {
            self.most = 0;
            self.nodes.clear();
        }
    }
}

impl Visit for Noting<'_, '_> {
    #[inline]
    fn scalar(&mut self, name: Range<usize>, at: Range<usize>) {
        self.note(name, &self.document[at], 0);
    }

    #[inline]
    fn opens(&mut self, name: Range<usize>, at: usize) {
        let outer = std::mem::replace(&mut self.open, self.nodes.len());
        self.note(name, &self.document[at..], outer);
    }

    #[inline]
    fn closes(&mut self, at: usize) {
        let noted = self.nodes.len();
        // There is no node once there were too many.
        if let Some(node) = self.nodes.get_mut(self.open) {
            let start = self.document.len() - node.text.len();
            node.text = &node.text[..at - start];
            let inside = noted - self.open - 1;
            self.open = std::mem::replace(&mut node.inside, inside);
        }
    }
}

/// Takes the next of some siblings and its name.
pub(super) fn next<'a>(siblings: &mut &'a [Node<'a>]) -> Option<(Text<'a>, Value<'a>)> {
    let (node, rest) = siblings.split_first()?;
    let (inside, rest) = rest.split_at(node.inside);
    *siblings = rest;
    let (raw, text) = (node.name, node.text);
    Some((Text { raw }, Value { text, inside }))
}
