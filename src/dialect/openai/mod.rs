//! Chat and text completions of OpenAI, which many others speak.
//!
//! Chat chunks (`choices[].delta`), chat answers (`choices[].message`) and text completions (`choices[].text`) differ
//! in one member only, and relays mix them, so one reader takes all three. Governing text: the OpenAI API reference,
//! "Chat" and "Completions".

pub(super) mod chat;
pub(super) mod completions;
mod inspect;
mod known;
mod request;
mod template;

use inspect::Inspection;
use template::Template;

use crate::dialect::contract::{Facts, Output};
use crate::dialect::kit::choice::Choices;
use crate::dialect::kit::chunks::{Chunks, Envelope};
use crate::parse::json::Value;

/// One response of a chat or text completion, as far as it has come.
#[derive(Debug, Default)]
struct Completion {
    choices: Choices,
    template: Template,
    inspection: Inspection,
}

impl Chunks for Completion {
    fn repeated(&mut self, chunk: &[u8], facts: &mut Facts) -> Option<Output> {
        let (of, text) = self.template.text(chunk)?;
        Some(self.choices.read_text(of, text, facts))
    }

    fn inspect(&mut self, object: Value<'_>, envelope: &Envelope<'_>, facts: &mut Facts) {
        self.inspection.object(object, envelope, facts);
    }

    fn choices(&mut self, choices: Value<'_>, facts: &mut Facts) -> Output {
        let output = self.choices.read(choices, facts);
        facts.quirks |= self.choices.quirks();
        output
    }

    fn learn(&mut self, chunk: &str, object: Value<'_>, brought: Option<Output>) {
        match brought {
            Some(output) => self.template.learn(chunk, object, output),
            None => self.template.forget(),
        }
    }
}
