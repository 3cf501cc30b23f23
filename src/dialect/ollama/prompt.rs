//! What a request of Ollama's own API gives the model to read.

use crate::dialect::kit::{media, prompt};
use crate::dialect::part::{Message, Part, Place, PromptKind, Role, Visitor};
use crate::parse::json::Value;

/// The members that hold a prompt, whatever the path.
pub(super) const MEMBERS: [&str; 9] = [
    "messages", "tools", "input", "prompt", "system", "suffix", "raw", "images", "context",
];

/// Shows the prompt of a call, by the last segment of its path.
pub(super) fn show(
    found: [Option<Value<'_>>; MEMBERS.len()],
    last: &str,
    visitor: &mut dyn Visitor,
) {
    let [messages, tools, input, text, generate @ ..] = found;
    match last {
        "chat" => {
            // Without a message the call only loads the model.
            let any = messages.is_some_and(|messages| messages.elements().next().is_some());
            prompt::messages(messages, kind(any, PromptKind::Messages), visitor);
            prompt::tools(tools, None, visitor);
        }
        "generate" => show_generate(text, generate, visitor),
        "embed" => {
            prompt::texts([input], PromptKind::Plain, visitor);
        }
        _ => {
            prompt::texts([text], PromptKind::Plain, visitor);
        }
    }
}

/// A prompt that the model's template makes a message of, unless it is `raw`.
fn show_generate(
    text: Option<Value<'_>>,
    [system, suffix, raw, images, context]: [Option<Value<'_>>; 5],
    visitor: &mut dyn Visitor,
) {
    let [text, system] = [text, system].map(|it| it.filter(|it| !it.is_null()));
    if text.or(system).is_none() {
        return;
    }
    let framed = raw.and_then(Value::as_bool) != Some(true);
    let any = text.is_some_and(|text| text.as_text().is_some_and(|text| !text.is_empty()));
    let framing = if framed {
        PromptKind::Messages
    } else {
        PromptKind::Plain
    };
    visitor.prompt(kind(any, framing));
    for (role, item) in [(Role::System, system), (Role::User, text)] {
        let Some(item) = item else { continue };
        if framed {
            visitor.message(&Message {
                role,
                name: None,
                id: None,
                item,
            });
        }
        prompt::text(Some(item), Part::Text, Place::said_by(role), visitor);
    }
    let place = Place::said_by(Role::User);
    for image in images.into_iter().flat_map(Value::elements) {
        visitor.part(place, &Part::Binary(media::image(image)));
    }
    prompt::text(suffix, Part::Suffix, place, visitor);
    if let Some(context) = context.filter(|context| !context.is_null()) {
        visitor.part(place, &Part::Context(context));
    }
}

/// A call without a text, which only loads the model, has no prompt of any kind.
const fn kind(any: bool, kind: PromptKind) -> PromptKind {
    if any { kind } else { PromptKind::Unknown }
}
