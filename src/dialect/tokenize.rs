//! Texts to tokens and back: `POST …/tokenize` and `…/detokenize`.
//!
//! Governing text: vLLM's documentation, "Tokenizer API"; llama.cpp calls the text `content`, Text Embeddings Inference
//! `inputs`. How many tokens a text comes to is an answer and no usage, so it is not read as such. Knows nothing of other
//! dialects.

use crate::dialect::contract::{Dialect, Reader};
use crate::dialect::kit::member::{decode, keep, members, typed};
use crate::dialect::kit::unary::Unary;
use crate::dialect::kit::{path, prompt};
use crate::dialect::part::{PromptKind, Visitor};
use crate::exchange::{Operation, Problems, Request};
use crate::parse::json::Value;

/// The dialect, in one of its two directions.
pub(super) struct Tokenize {
    tail: &'static str,
    route: &'static str,
}

/// Texts to tokens.
pub(super) static TOKENIZE: Tokenize = Tokenize {
    tail: "tokenize",
    route: "/tokenize",
};

/// Tokens to texts.
pub(super) static DETOKENIZE: Tokenize = Tokenize {
    tail: "detokenize",
    route: "/detokenize",
};

impl Dialect for Tokenize {
    fn operation(&self) -> Operation {
        Operation::Tokenize
    }

    fn route(&self) -> &'static str {
        self.route
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &[self.tail])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        visitor: &mut dyn Visitor,
    ) {
        let text = decode(body);
        let names = ["model", "prompt", "content", "inputs", "messages"];
        let Some([model, texts @ .., messages]) = members(&text, names, problems) else {
            return;
        };
        request.model = typed(model, problems, Value::as_text).map(keep);
        if !prompt::texts(texts, PromptKind::Unknown, visitor) {
            prompt::messages(messages, PromptKind::Unknown, visitor);
        }
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<Unary>::default()
    }
}
