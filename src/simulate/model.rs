//! The table of simulated models: what each name stands for.

/// Where an answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelFault {
    /// Nowhere.
    None,
    /// An HTTP error instead of an answer.
    Status(u16),
    /// An error object as an event, half way through the stream.
    ErrorEvent,
    /// The connection breaks half way, within an event.
    Cut,
    /// Silence half way, for a while.
    Stall,
    /// Silence half way, for as long as the client waits.
    Hang,
    /// No response head for as long as the client waits.
    Silent,
    /// The connection closes before any response head.
    HangUp,
    /// No usage, whether asked for or not.
    NoUsage,
    /// `stream_options` is turned away.
    NoStreamOptions,
    /// The stream ends without `[DONE]`.
    NoDone,
    /// The model refuses to answer.
    Refusal,
}

/// One simulated model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    /// Factor on the configured think time.
    pub(super) think: f64,
    /// Factor on the configured time between tokens.
    pub(super) pace: f64,
    /// Usual length of an answer, in tokens.
    pub(super) tokens: usize,
    /// Usual length of the reasoning before it.
    pub(super) reasoning: usize,
    /// Most tools called at once.
    pub(super) calls: usize,
    /// Calls a tool of its own where the request offers none.
    pub(super) always_calls: bool,
    /// What goes wrong.
    pub(super) fault: ModelFault,
}

/// A usual chat model.
pub(super) const CHAT: Model = Model {
    think: 1.0,
    pace: 1.0,
    tokens: 60,
    reasoning: 0,
    calls: 1,
    always_calls: false,
    fault: ModelFault::None,
};

const fn faulty(fault: ModelFault) -> Model {
    Model { fault, ..CHAT }
}

const FAST: Model = Model {
    think: 0.25,
    pace: 0.35,
    tokens: 40,
    ..CHAT
};

const SLOW: Model = Model {
    think: 8.0,
    pace: 3.0,
    ..CHAT
};

const REASONING: Model = Model {
    think: 1.5,
    tokens: 40,
    reasoning: 50,
    ..CHAT
};

const TOOLS: Model = Model {
    calls: 2,
    always_calls: true,
    ..CHAT
};

/// Name, what it does, behaviour.
const TABLE: &[(&str, &str, Model)] = &[
    ("sim-chat", "a usual chat model", CHAT),
    ("sim-fast", "a small, quick one", FAST),
    ("sim-slow", "thinks for seconds, then speaks slowly", SLOW),
    (
        "sim-reasoning",
        "emits reasoning_content before its answer",
        REASONING,
    ),
    ("sim-tools", "calls tools, two at once where it can", TOOLS),
    (
        "sim-refuse",
        "answers with a refusal",
        faulty(ModelFault::Refusal),
    ),
    (
        "sim-error-400",
        "answers 400; any sim-error-<400 to 599> works",
        faulty(ModelFault::Status(400)),
    ),
    (
        "sim-error-429",
        "answers 429 with retry-after",
        faulty(ModelFault::Status(429)),
    ),
    (
        "sim-error-500",
        "answers 500",
        faulty(ModelFault::Status(500)),
    ),
    (
        "sim-error-midstream",
        "an error event half way through a 200",
        faulty(ModelFault::ErrorEvent),
    ),
    (
        "sim-cut",
        "breaks the connection half way, within an event",
        faulty(ModelFault::Cut),
    ),
    (
        "sim-stall",
        "falls silent half way, then goes on",
        faulty(ModelFault::Stall),
    ),
    (
        "sim-hang",
        "falls silent half way for good",
        faulty(ModelFault::Hang),
    ),
    (
        "sim-silent",
        "never sends a response head",
        faulty(ModelFault::Silent),
    ),
    (
        "sim-hangup",
        "closes the connection before a response head",
        faulty(ModelFault::HangUp),
    ),
    (
        "sim-no-usage",
        "never reports usage",
        faulty(ModelFault::NoUsage),
    ),
    (
        "sim-no-stream-options",
        "answers 400 to stream_options",
        faulty(ModelFault::NoStreamOptions),
    ),
    (
        "sim-no-done",
        "ends its stream without [DONE], or whatever ends it",
        faulty(ModelFault::NoDone),
    ),
];

/// Every simulated model: its name and what it does.
pub fn models() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|(name, does, _)| (*name, *does))
}

/// What a name stands for; `None` for an unknown name that begins with `sim-`.
pub(super) fn find(name: &str) -> Option<Model> {
    if let Some((_, _, model)) = TABLE.iter().find(|(known, _, _)| *known == name) {
        return Some(*model);
    }
    if let Some(status) = name.strip_prefix("sim-error-") {
        let status = status
            .parse()
            .ok()
            .filter(|status| (400..600).contains(status))?;
        return Some(faulty(ModelFault::Status(status)));
    }
    (!name.starts_with("sim-")).then_some(CHAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_status_has_a_model() {
        assert_eq!(
            find("sim-error-503").map(|model| model.fault),
            Some(ModelFault::Status(503))
        );
        assert!(find("sim-error-200").is_none());
        assert!(find("sim-error-x").is_none());
    }

    #[test]
    fn foreign_names_chat_and_misspelt_ones_are_unknown() {
        assert_eq!(
            find("gpt-4o-mini").map(|model| model.fault),
            Some(ModelFault::None)
        );
        assert!(find("sim-chta").is_none());
    }
}
