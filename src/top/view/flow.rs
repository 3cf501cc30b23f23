//! Parts that follow each other in a line: they go on in the next where the width ends, or the least important are left out.

use ratatui::text::{Line, Span};

use super::table::fit;

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

/// A part of a line, and its rank: the lower, the longer it stays where room gets scarce.
pub(super) type Ranked = (u8, Span<'static>);

/// One line of the parts that fit, each whole and in their order: half a word says nothing, or something else. None stays that is
/// worth less than one that is left out: it may be said of that one.
pub(super) fn ranked(parts: Vec<Ranked>, width: usize) -> Line<'static> {
    let mut by_rank: Vec<usize> = (0..parts.len()).collect();
    by_rank.sort_by_key(|at| parts[*at].0);
    let mut stays = vec![false; parts.len()];
    let mut used = 0;
    for at in by_rank {
        let gap = if used == 0 { 0 } else { GAP.len() };
        let with = used + gap + parts[at].1.width();
        if with > width {
            break;
        }
        (stays[at], used) = (true, with);
    }
    let mut line = Line::default();
    for ((_, part), _) in parts.into_iter().zip(stays).filter(|(_, stays)| *stays) {
        if !line.spans.is_empty() {
            line.push_span(GAP);
        }
        line.push_span(part);
    }
    line
}

/// As many whole words as fit, with a mark where there are more. Of a first word that is too long, as much as fits.
pub(super) fn words(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let cut = fit(text, width, false);
    let cut = cut.trim_end().trim_end_matches('…');
    let is_between = text[cut.len()..].starts_with(' ');
    let whole = match cut.rfind(' ') {
        Some(end) if !is_between => &cut[..end],
        _ => cut,
    };
    fit(&format!("{} …", whole.trim_end()), width, false)
        .trim_end()
        .to_owned()
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

    #[test]
    fn what_matters_least_is_left_out_whole() {
        let line = |width| {
            let parts = [(2, "keys"), (3, "more"), (0, "? help"), (1, "q quit")];
            let parts = parts.map(|(rank, text)| (rank, Span::raw(text)));
            ranked(parts.to_vec(), width).to_string()
        };
        assert_eq!(line(26), "keys  more  ? help  q quit");
        assert_eq!(line(25), "keys  ? help  q quit");
        assert_eq!(line(20), "keys  ? help  q quit");
        assert_eq!(line(19), "? help  q quit");
        assert_eq!(line(13), "? help");
        assert_eq!(line(5), "");
    }

    #[test]
    fn a_sentence_is_cut_between_words() {
        let text = "no answer from there";
        assert_eq!(words(text, 20), text);
        assert_eq!(words(text, 19), "no answer from …");
        assert_eq!(words(text, 14), "no answer …");
        assert_eq!(words(text, 11), "no answer …");
        assert_eq!(words("unbroken", 5), "unbr…");
        for width in 0..20 {
            assert!(Span::raw(words(text, width)).width() <= width);
        }
    }
}
