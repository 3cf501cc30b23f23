//! What each key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// End the program.
    Quit,
    /// Move the selection, or what is shown, by so many rows.
    Move(isize),
    /// The same by screens.
    Page(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Look at what is selected.
    Open,
    /// Look at the conversation of what is selected, or looked at.
    Conversation,
    /// From the table of exchanges to that of conversations, and back.
    Tables,
    /// Leave conversations of one turn out, or show them again.
    Several,
    /// From the exchange that is looked at to one beside it.
    Beside(isize),
    /// Leave what is shown.
    Back,
    /// Show the keys.
    Help,
    /// Order by the next column, or the one before.
    Sort(isize),
    /// Order the other way.
    Reverse,
    /// Stand still, or go on.
    Pause,
    /// Begin to write a filter.
    Filter,
    /// Change what is written.
    Edit(Edit),
}

/// A change of the line that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    Insert(char),
    DeleteBefore,
    DeleteAfter,
    DeleteWord,
    DeleteAll,
    Move(isize),
    Start,
    End,
    Submit,
    Cancel,
}

/// The keys as the help lists them.
pub(super) const HELP: &[(&str, &str)] = &[
    ("↑ ↓  k j", "select a row; in an exchange, scroll"),
    ("PgUp PgDn", "by a screen"),
    ("Home End  g G", "the first, the last"),
    ("Enter", "look at what is selected"),
    ("c", "look at the conversation of an exchange"),
    ("Tab", "conversations, or back to exchanges"),
    ("m", "conversations of more than one turn alone, or all"),
    ("← →", "in an exchange: the one above, the one below"),
    (
        "Esc  Backspace",
        "back; dismiss a message; in a table: follow the newest",
    ),
    (
        "/",
        "filter exchanges, such as model:gpt* ttft>2s -end:done",
    ),
    (
        "Ctrl-U",
        "in the filter, which begins as it was: empty the line",
    ),
    (
        "s S",
        "order exchanges by the next column, by the one before",
    ),
    ("r", "order exchanges the other way"),
    ("p  Space", "stand still, go on"),
    ("?", "this help"),
    ("q  Ctrl-C", "quit"),
];

/// What a key asks for, by whether a line is being written.
pub(super) fn action(key: KeyEvent, is_writing: bool) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => Some(Action::Quit),
        _ if is_writing => edit(key.code, control).map(Action::Edit),
        _ if key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) =>
        {
            None
        }
        code => command(code),
    }
}

fn command(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::PageUp => Action::Page(-1),
        KeyCode::PageDown => Action::Page(1),
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Enter => Action::Open,
        KeyCode::Char('c') => Action::Conversation,
        KeyCode::Tab => Action::Tables,
        KeyCode::Char('m') => Action::Several,
        KeyCode::Esc | KeyCode::Backspace => Action::Back,
        KeyCode::Char('?') | KeyCode::F(1) => Action::Help,
        KeyCode::Char('s') => Action::Sort(1),
        KeyCode::Char('S') => Action::Sort(-1),
        KeyCode::Char('r') => Action::Reverse,
        KeyCode::Char('p' | ' ') => Action::Pause,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Left => Action::Beside(-1),
        KeyCode::Right => Action::Beside(1),
        _ => return None,
    })
}

fn edit(code: KeyCode, control: bool) -> Option<Edit> {
    Some(match (code, control) {
        (KeyCode::Enter, _) => Edit::Submit,
        (KeyCode::Esc, _) => Edit::Cancel,
        (KeyCode::Backspace, false) | (KeyCode::Char('h'), true) => Edit::DeleteBefore,
        (KeyCode::Backspace, true) | (KeyCode::Char('w'), true) => Edit::DeleteWord,
        (KeyCode::Char('u'), true) => Edit::DeleteAll,
        (KeyCode::Char('a'), true) | (KeyCode::Home, _) => Edit::Start,
        (KeyCode::Char('e'), true) | (KeyCode::End, _) => Edit::End,
        (KeyCode::Delete, _) | (KeyCode::Char('d'), true) => Edit::DeleteAfter,
        (KeyCode::Left, _) => Edit::Move(-1),
        (KeyCode::Right, _) => Edit::Move(1),
        (KeyCode::Char(character), false) => Edit::Insert(character),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(code: KeyCode, modifiers: KeyModifiers, is_writing: bool) -> Option<Action> {
        action(KeyEvent::new(code, modifiers), is_writing)
    }

    #[test]
    fn control_c_quits_also_while_writing_and_q_is_a_letter_then() {
        let (none, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        for is_writing in [true, false] {
            let quit = pressed(KeyCode::Char('c'), control, is_writing);
            assert_eq!(quit, Some(Action::Quit));
        }
        assert_eq!(pressed(KeyCode::Char('q'), none, false), Some(Action::Quit));
        let letter = Some(Action::Edit(Edit::Insert('q')));
        assert_eq!(pressed(KeyCode::Char('q'), none, true), letter);
    }

    #[test]
    fn a_key_with_control_or_alt_is_not_the_key_without() {
        for modifiers in [KeyModifiers::CONTROL, KeyModifiers::ALT] {
            assert_eq!(pressed(KeyCode::Char('q'), modifiers, false), None);
        }
    }
}
