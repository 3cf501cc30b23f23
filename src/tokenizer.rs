//! How many tokens a text has, by the vocabularies of OpenAI's models.
//!
//! A vocabulary is a table of some 40 MB in memory, so it is made when it is first needed, and freed with its
//! [`Tokenizer`]. It knows nothing but text and the names of models.

mod vocabulary;

use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{self, Tokenizer as Known};

/// Longest piece that is encoded at once, in bytes. The library matches words by backtracking, whose depth grows with the
/// length of a run of white space; a megabyte of it would make it panic. A cut costs at most a token.
const PIECE: usize = 16 << 10;

/// Counts tokens, with the tables it has made so far.
#[derive(Default)]
pub struct Tokenizer {
    o200k: Option<CoreBPE>,
    cl100k: Option<CoreBPE>,
}

impl Tokenizer {
    /// Tokens of a text as a model of that name would read it. A model whose vocabulary is not public counts by
    /// `o200k_base`. `None` where the table cannot be made.
    ///
    /// Takes some 100 ms when a table has to be made, and up to 250 ms for a megabyte of text.
    pub fn count(&mut self, model: &str, text: &str) -> Option<u64> {
        let table = self.table(model)?;
        let pieces = pieces(text).map(|piece| table.encode_ordinary(piece).len() as u64);
        Some(pieces.sum())
    }

    fn table(&mut self, model: &str) -> Option<&CoreBPE> {
        // Routers put the vendor's name before the model's.
        let model = model.rsplit('/').next().unwrap_or(model);
        let (table, vocabulary) = match tokenizer::get_tokenizer(model) {
            Some(Known::Cl100kBase) => (&mut self.cl100k, vocabulary::CL100K),
            _ => (&mut self.o200k, vocabulary::O200K),
        };
        if table.is_none() {
            *table = vocabulary.table();
        }
        table.as_ref()
    }
}

/// A text cut into pieces that are not too long, no character broken.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut end = PIECE.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        text = rest;
        Some(piece).filter(|piece| !piece.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_counts_by_its_own_vocabulary_and_an_unknown_one_by_the_newest() {
        let mut tokenizer = Tokenizer::default();
        // Fewer tokens in the newer vocabulary, which knows more of other languages.
        let text = "Wie tief ist der Fluss heute Morgen?";
        let newer = tokenizer.count("gpt-4o", text);
        assert_eq!(newer, Some(9));
        assert!(tokenizer.cl100k.is_none(), "no table before it is needed");
        let older = tokenizer.count("gpt-4-0613", text);
        assert!(older > newer, "{older:?}");
        assert_eq!(tokenizer.count("openai/gpt-4-0613", text), older);
        assert_eq!(tokenizer.count("llama-3.3-70b", text), newer);
        assert_eq!(tokenizer.count("gpt-4o", ""), Some(0));
    }

    #[test]
    fn long_runs_of_anything_are_counted() {
        let mut tokenizer = Tokenizer::default();
        for text in [" ", "\n", "a", "é", "x  ", "👩‍👩‍👧"] {
            let long = text.repeat(8 * PIECE / text.len());
            assert!(tokenizer.count("gpt-4o", &long) > Some(0), "{text:?}");
        }
    }

    #[test]
    fn pieces_break_no_character_and_leave_nothing_out() {
        let text = "é".repeat(PIECE);
        let text = ["a", &text].concat();
        let cut: Vec<_> = pieces(&text).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.len() > 1 && cut.iter().all(|piece| piece.len() <= PIECE));
    }
}
