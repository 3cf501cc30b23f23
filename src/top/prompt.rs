//! The line in which a filter is written.

use super::keys::Edit;
use super::text::is_shown;

/// Most characters of it.
const MOST: usize = 1000;

/// A line and where the next character goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    characters: Vec<char>,
    cursor: usize,
}

/// What became of the line by a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is written on.
    Still,
    /// It is complete.
    Done(String),
    /// It is given up.
    Dropped,
}

impl Prompt {
    /// A line with a text, to be written on.
    pub(super) fn new(text: &str) -> Self {
        let characters: Vec<char> = text.chars().filter(|it| is_shown(*it)).collect();
        let cursor = characters.len();
        Self { characters, cursor }
    }

    /// What is written.
    pub(super) fn text(&self) -> String {
        self.characters.iter().collect()
    }

    /// What is written before the place of the next character.
    pub(super) fn before(&self) -> String {
        self.characters[..self.cursor].iter().collect()
    }

    /// Changes it.
    pub(super) fn edit(&mut self, edit: Edit) -> Written {
        let length = self.characters.len();
        match edit {
            Edit::Submit => return Written::Done(self.text().trim().to_owned()),
            Edit::Cancel => return Written::Dropped,
            // As in an editor: what deletes in an empty line leaves it.
            Edit::DeleteBefore if length == 0 => return Written::Dropped,
            Edit::Insert(character) if length < MOST && is_shown(character) => {
                self.characters.insert(self.cursor, character);
                self.cursor += 1;
            }
            Edit::DeleteBefore if self.cursor > 0 => {
                self.cursor -= 1;
                self.characters.remove(self.cursor);
            }
            Edit::DeleteAfter if self.cursor < length => {
                self.characters.remove(self.cursor);
            }
            Edit::DeleteWord => {
                let start = self.word();
                self.characters.drain(start..self.cursor);
                self.cursor = start;
            }
            Edit::DeleteAll => *self = Self::default(),
            Edit::Move(by) => self.cursor = self.cursor.saturating_add_signed(by).min(length),
            Edit::Start => self.cursor = 0,
            Edit::End => self.cursor = length,
            _ => {}
        }
        Written::Still
    }

    /// Where the word before the cursor begins.
    fn word(&self) -> usize {
        let before = &self.characters[..self.cursor];
        let blanks = before.iter().rev().take_while(|it| it.is_whitespace());
        let end = self.cursor - blanks.count();
        let letters = before[..end]
            .iter()
            .rev()
            .take_while(|it| !it.is_whitespace());
        end - letters.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(edits: &[Edit]) -> Prompt {
        let mut prompt = Prompt::new("ttft>2s end:done");
        for edit in edits {
            prompt.edit(*edit);
        }
        prompt
    }

    #[test]
    fn it_is_edited_where_the_cursor_is() {
        let moved = after(&[
            Edit::Start,
            Edit::Move(1),
            Edit::Insert('x'),
            Edit::DeleteAfter,
        ]);
        assert_eq!(moved.text(), "txft>2s end:done");
        assert_eq!(moved.before(), "tx");
        assert_eq!(after(&[Edit::DeleteWord]).text(), "ttft>2s ");
        assert_eq!(after(&[Edit::DeleteWord, Edit::DeleteWord]).text(), "");
        assert_eq!(after(&[Edit::DeleteBefore]).text(), "ttft>2s end:don");
        assert_eq!(after(&[Edit::DeleteAll]).text(), "");
        assert_eq!(after(&[Edit::Move(99), Edit::DeleteAfter]), after(&[]));
        assert_eq!(
            after(&[Edit::Move(-99), Edit::DeleteBefore]).text(),
            "ttft>2s end:done"
        );
    }

    #[test]
    fn it_holds_nothing_that_a_terminal_obeys_and_is_bounded() {
        assert_eq!(after(&[Edit::DeleteAll, Edit::Insert('\x1b')]).text(), "");
        let mut prompt = Prompt::default();
        for _ in 0..2 * MOST {
            prompt.edit(Edit::Insert('ü'));
        }
        assert_eq!(prompt.text().chars().count(), MOST);
    }

    #[test]
    fn it_is_submitted_without_outer_blanks_or_given_up() {
        let mut prompt = Prompt::new(" a b ");
        assert_eq!(prompt.edit(Edit::Submit), Written::Done("a b".to_owned()));
        assert_eq!(prompt.edit(Edit::Cancel), Written::Dropped);
        assert_eq!(Prompt::default().edit(Edit::DeleteBefore), Written::Dropped);
    }
}
