//! Composes an answer: what the model says, token by token, before it is rendered for any wire.

use super::chance::Chance;
use super::model::{Model, ModelFault};
use super::request::{CompletionApi, CompletionRequest, Tool};

/// One token of an answer, in the sense of this simulation: a word, or a piece of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word of the answer.
    Content(&'static str),
    /// A word of reasoning.
    Reasoning(&'static str),
    /// A word of a refusal.
    Refusal(&'static str),
    /// The head of a tool call.
    Call {
        index: usize,
        id: String,
        name: String,
    },
    /// A fragment of its arguments.
    Arguments { index: usize, fragment: String },
}

/// One choice of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) tokens: Vec<Token>,
    pub(super) finish_reason: &'static str,
}

/// Token counts of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenCounts {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) reasoning: usize,
}

/// A whole answer, as choices; the Responses API has one, and calls its parts items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completion {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
    pub(super) choices: Vec<Choice>,
    pub(super) usage: TokenCounts,
}

/// The prose every answer is cut from, one token a word. Its end leads to its beginning.
const PROSE: &str = "the river rises at night, when snow melts above Val d’Isère, and the gauge at Grenoble shows it \
    by noon: 2.4 m, 12 °C, 180 m³/s. Nothing in the water is changed by being measured; the float only follows.\n\n\
    Downstream, people read \"the level\" and decide when to open the gates — 水 flows on, and in the evening ";

/// Words an answer may begin at.
const BEGINNINGS: usize = 50;

/// A tool of the model's own, for a model that always calls one.
const OWN_TOOL: (&str, &str) = (
    "get_water_level",
    r#"{"station":"Grenoble, Isère","days":2}"#,
);

/// Characters in one fragment of a tool call's arguments.
const FRAGMENT: usize = 6;

/// Composes the answer to a request.
pub(super) fn compose(
    ask: &CompletionRequest,
    model: &Model,
    created: u64,
    chance: &mut Chance,
) -> Completion {
    let prefix = match ask.api {
        CompletionApi::Chat => "chatcmpl-",
        CompletionApi::Text => "cmpl-",
        CompletionApi::Responses => "resp_",
    };
    let id = format!("{prefix}{:016x}{:016x}", chance.next(), chance.next());
    let choices: Vec<Choice> = (0..ask.choices)
        .map(|_| choice(ask, model, chance))
        .collect();
    let tokens = || choices.iter().flat_map(|choice| &choice.tokens);
    let usage = TokenCounts {
        input: ask.input_tokens,
        output: tokens().count(),
        reasoning: tokens()
            .filter(|token| matches!(token, Token::Reasoning(_)))
            .count(),
    };
    Completion {
        id,
        model: format!("{}-2026-01-01", ask.model),
        created,
        choices,
        usage,
    }
}

fn choice(ask: &CompletionRequest, model: &Model, chance: &mut Chance) -> Choice {
    let chat = ask.api != CompletionApi::Text;
    let mut tokens = Vec::new();
    if chat && model.reasoning > 0 {
        let count = chance.about(model.reasoning);
        tokens.extend(words(count, chance).map(Token::Reasoning));
    }
    let calls = if chat { calls(ask, model) } else { Vec::new() };
    let mut finish_reason = "stop";
    if calls.is_empty() {
        let count = ask
            .knobs
            .chunks
            .unwrap_or_else(|| chance.about(model.tokens));
        let kind = if chat && model.fault == ModelFault::Refusal {
            Token::Refusal
        } else {
            Token::Content
        };
        tokens.extend(words(count, chance).map(kind));
    } else {
        finish_reason = "tool_calls";
        for (index, tool) in calls.iter().enumerate() {
            call(index, tool, chance, &mut tokens);
        }
    }
    if let Some(limit) = ask.max_tokens.filter(|limit| *limit < tokens.len()) {
        tokens.truncate(limit);
        finish_reason = "length";
    }
    Choice {
        tokens,
        finish_reason,
    }
}

/// What the model calls in place of an answer.
fn calls(ask: &CompletionRequest, model: &Model) -> Vec<Tool> {
    if ask.after_tool {
        return Vec::new();
    }
    if ask.tools.is_empty() && model.always_calls {
        let (name, arguments) = OWN_TOOL;
        return vec![Tool {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }];
    }
    ask.tools.iter().take(model.calls).cloned().collect()
}

fn call(index: usize, tool: &Tool, chance: &mut Chance, tokens: &mut Vec<Token>) {
    tokens.push(Token::Call {
        index,
        id: format!("call_{:016x}", chance.next()),
        name: tool.name.clone(),
    });
    let characters: Vec<char> = tool.arguments.chars().collect();
    tokens.extend(
        characters
            .chunks(FRAGMENT)
            .map(|fragment| Token::Arguments {
                index,
                fragment: fragment.iter().collect(),
            }),
    );
}

/// A text of so many words, begun anywhere in the prose. A space belongs to the word before it.
pub(super) fn words(
    count: usize,
    chance: &mut Chance,
) -> impl Iterator<Item = &'static str> + use<> {
    let start = chance.below(BEGINNINGS);
    let text = PROSE.split_inclusive(' ').cycle().skip(start).take(count);
    text.enumerate().map(move |(position, word)| {
        if position + 1 == count {
            word.trim_end()
        } else {
            word
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_length_and_no_space_at_its_ends() {
        let mut chance = Chance::new(1, "");
        for count in [0, 1, 7, 500] {
            let text: Vec<_> = words(count, &mut chance).collect();
            assert_eq!(text.len(), count);
            let text = text.concat();
            assert_eq!(text.trim(), text);
            assert!(!text.contains("  "));
        }
    }
}
