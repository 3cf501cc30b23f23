//! What was said in a session, where it is to be shown: which prompt goes with which response, by either API.
//!
//! A response of the Realtime API reads the conversation. One of the Responses API reads what its request brings, as over HTTP,
//! and the provider holds what was said before.

use std::time::Duration;

use super::conversation::Conversation;
use super::own::OwnPrompt;
use super::standing::Standing;
use crate::dialect::fold::{AnswerContent, PromptContent, Said};
use crate::dialect::openai_responses::show_prompt;
use crate::parse::json::Value;

/// What is held of a session to be shown.
#[derive(Debug)]
pub(super) struct SessionContent {
    /// Most bytes of texts of an answer, and of a prompt that its request brings.
    most: usize,
    /// `None` where each request brings what is to be read (the Responses API).
    conversation: Option<Conversation>,
    /// The format of the sound that the server sends.
    format: Option<String>,
}

/// What a request for a response says of its prompt.
#[derive(Debug)]
pub(super) enum AskedPrompt {
    /// All of it.
    Whole(Said),
    /// What is to be read in place of the conversation, or beside it.
    Own(OwnPrompt),
}

/// The prompt of a response that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    asked: Option<Box<AskedPrompt>>,
    /// Where the conversation was.
    mark: u64,
    /// What stood for the session.
    standing: Standing,
}

impl SessionContent {
    pub(super) fn within(bytes: usize, has_conversation: bool) -> Self {
        Self {
            most: bytes,
            conversation: has_conversation.then(|| Conversation::within(bytes)),
            format: None,
        }
    }

    /// How many bytes of texts it holds itself.
    pub(super) fn bytes(&self) -> usize {
        self.conversation.as_ref().map_or(0, Conversation::bytes)
    }

    /// Lets them go.
    pub(super) fn lose(&mut self) {
        self.conversation.iter_mut().for_each(Conversation::lose);
    }

    /// A message was passed over.
    pub(super) fn miss(&mut self) {
        self.conversation.iter_mut().for_each(Conversation::miss);
    }

    /// What gathers an answer.
    pub(super) fn answer(&self) -> Box<AnswerContent> {
        Box::new(AnswerContent::within(self.most))
    }

    /// The format of an answer's sound.
    pub(super) fn format(&self) -> Option<String> {
        self.format.clone()
    }

    /// The client has sent an event of this type.
    pub(super) fn client(&mut self, at: Duration, kind: &str, event: Value<'_>) {
        if let Some(conversation) = &mut self.conversation {
            conversation.client(at, kind, event);
        }
    }

    /// The server has sent an event of this type.
    pub(super) fn server(&mut self, kind: &str, event: Value<'_>) {
        if let Some(conversation) = &mut self.conversation {
            conversation.server(kind, event);
            if let Some(session) = event.get("session") {
                let told = Conversation::format_of(session, "output");
                self.format = told.or(self.format.take());
            }
        }
    }

    /// The client asks for a response.
    pub(super) fn asked(&self, event: Value<'_>) -> AskedPrompt {
        if let Some(conversation) = &self.conversation {
            return AskedPrompt::Own(conversation.own(event));
        }
        let [instructions, input, tools] = event.select(["instructions", "input", "tools"]);
        let mut fold = PromptContent::within(self.most);
        show_prompt([instructions, input, tools], [None; 3], &mut fold);
        AskedPrompt::Whole(fold.finish())
    }

    /// An error of this code refuses what the client calls so.
    pub(super) fn refused(&mut self, cause: Option<&str>, code: Option<&str>) {
        if let Some(conversation) = &mut self.conversation {
            conversation.refused(cause, code);
        }
    }

    /// A response begins; the client asked for it where there is an `asked`, at that instant.
    pub(super) fn begin(&mut self, at: Duration, asked: Option<Box<AskedPrompt>>) -> Begun {
        let conversation = self.conversation.as_mut();
        let (mark, standing) = conversation.map_or_else(Default::default, |conversation| {
            if asked.is_some() {
                conversation.answers(at);
            }
            conversation.begin()
        });
        Begun {
            asked,
            mark,
            standing,
        }
    }

    /// An item of a response is whole: a part of the conversation, unless that response stands apart from it.
    pub(super) fn answered(&mut self, begun: &Begun, item: Value<'_>) {
        if let Some(conversation) = self.conversation.as_mut().filter(|_| !begun.is_apart()) {
            conversation.item(item, None);
        }
    }

    /// A response is over: what it was given to read; `None` where that was not seen.
    pub(super) fn end(&mut self, begun: Begun) -> Option<Said> {
        let own = match begun.asked.map(|asked| *asked) {
            Some(AskedPrompt::Whole(said)) => return Some(said),
            Some(AskedPrompt::Own(own)) => Some(own),
            None => None,
        };
        let conversation = self.conversation.as_mut()?;
        let said = conversation.said(own, (begun.mark, begun.standing));
        conversation.end();
        Some(said)
    }
}

impl AskedPrompt {
    /// How many bytes of texts it has.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Whole(said) => said.bytes,
            Self::Own(own) => own.bytes(),
        }
    }

    /// Lets them go.
    pub(super) fn lose(&mut self) {
        match self {
            Self::Whole(said) => {
                *said = Said {
                    lost: true,
                    ..Said::default()
                };
            }
            Self::Own(own) => own.lose(),
        }
    }
}

impl Begun {
    /// How many bytes of texts it has of its own.
    pub(super) fn bytes(&self) -> usize {
        self.asked.as_ref().map_or(0, |asked| asked.bytes()) + self.standing.bytes()
    }

    /// Lets them go.
    pub(super) fn lose(&mut self) {
        self.asked.iter_mut().for_each(|asked| asked.lose());
        self.standing = Standing::default();
    }

    /// It is no answer to what the client asked: gives what that says of its prompt.
    pub(super) fn take_asked(&mut self) -> Option<Box<AskedPrompt>> {
        self.asked.take()
    }

    fn is_apart(&self) -> bool {
        matches!(self.asked.as_deref(), Some(AskedPrompt::Own(own)) if own.is_apart)
    }
}
