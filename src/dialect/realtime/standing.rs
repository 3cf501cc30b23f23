//! Instructions and tools as they are held to be shown: of a session, and of one response in their place.

use super::item::text;
use crate::dialect::fold::PromptContent;
use crate::dialect::kit::prompt;
use crate::dialect::openai_responses::show_prompt;
use crate::exchange::{ContentPart, ContentTool};
use crate::parse::json::{Kind, Value};

/// What holds for a session, or for one response in its place; `None` where nothing is said of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    system: Option<Told<ContentPart>>,
    tools: Option<Told<ContentTool>>,
}

/// Instructions, or tools.
#[derive(Debug, Clone)]
struct Told<T> {
    said: Vec<T>,
    bytes: usize,
    is_lost: bool,
}

impl Standing {
    /// What settings say, of a session or of a response.
    pub(super) fn read(settings: Value<'_>, bytes: usize) -> Self {
        let [instructions, tools] = settings.select(["instructions", "tools"]);
        let fold = |show: &dyn Fn(&mut PromptContent)| {
            let mut fold = PromptContent::within(bytes);
            show(&mut fold);
            fold.finish()
        };
        let system = instructions.filter(|it| it.kind() == Kind::String);
        let system = system.map(|told| {
            let told = Some(told).filter(|told| text(Some(*told)).is_some());
            let said = fold(&|fold| show_prompt([told, None, None], [None; 3], fold));
            Told {
                said: said.system,
                bytes: said.bytes,
                is_lost: said.lost,
            }
        });
        let tools = tools.filter(|it| it.kind() == Kind::Array).map(|told| {
            let said = fold(&|fold| prompt::tools(Some(told), None, fold));
            Told {
                said: said.tools,
                bytes: said.bytes,
                is_lost: said.lost,
            }
        });
        Self { system, tools }
    }

    /// It, and what it does not say as the `other` has it.
    pub(super) fn over(self, other: &Self) -> Self {
        Self {
            system: self.system.or_else(|| other.system.clone()),
            tools: self.tools.or_else(|| other.tools.clone()),
        }
    }

    /// How many bytes of texts that is.
    pub(super) fn bytes(&self) -> usize {
        let system = self.system.as_ref().map_or(0, |told| told.bytes);
        system + self.tools.as_ref().map_or(0, |told| told.bytes)
    }

    /// Whether there was more than may be held.
    pub(super) fn is_lost(&self) -> bool {
        let system = self.system.as_ref().is_some_and(|told| told.is_lost);
        system || self.tools.as_ref().is_some_and(|told| told.is_lost)
    }

    /// The instructions.
    pub(super) fn system(&self) -> Vec<ContentPart> {
        let told = self.system.as_ref();
        told.map(|told| told.said.clone()).unwrap_or_default()
    }

    /// The tools.
    pub(super) fn tools(&self) -> Vec<ContentTool> {
        let told = self.tools.as_ref();
        told.map(|told| told.said.clone()).unwrap_or_default()
    }
}
