//! Parts that follow each other in a line, and go on in the next where the width ends.

use ratatui::text::{Line, Span};

/// Between two parts of a line.
const GAP: &str = "  ";

/// The parts in lines of at most this width. One that is wider has a line of its own, and is cut by it.
pub(super) fn flow(parts: Vec<Span<'static>>, width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.width() + GAP.len() + part.width() <= width => {
                line.push_span(GAP);
                line.push_span(part);
            }
            _ => lines.push(Line::from(part)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_has_no_room_begins_a_line() {
        let parts = ["one", "two", "three", "longer than that"];
        let lines = flow(parts.map(Span::raw).to_vec(), 10);
        let lines: Vec<String> = lines.iter().map(Line::to_string).collect();
        assert_eq!(lines, ["one  two", "three", "longer than that"]);
    }
}
