//! Takes personal data and credentials out of an exchange before any sink sees it: out of its content, the variables of its prompt's
//! template and its errors always, and with these out of every other text of it too.
//!
//! It takes time in proportion to what was said, so an exchange with something to look through goes by the worker, and all
//! that end after it go behind it. Where it fails nothing that it was to look through goes on.

use std::sync::Arc;

use super::{Finished, Stage};
use crate::exchange::{ApiError, Exchange};
use crate::redact::{Policy, REDACTED, Redactor};

/// What is taken out of exchanges.
#[derive(Debug, Clone, Default)]
pub struct RedactConfig {
    /// What is looked for.
    pub policy: Policy,
    /// Whether exchanges without content and without an error are looked through too. Default false.
    pub always: bool,
    /// What becomes of what an upstream says of an error. Default [`ErrorMessages::Redacted`].
    pub error_messages: ErrorMessages,
}

/// What becomes of what an upstream says of an error: it may quote the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorMessages {
    /// It is looked through, and cut where the exchange shows no content.
    #[default]
    Redacted,
    /// It goes nowhere.
    Off,
}

/// Most characters of an error's message where content is off.
const MESSAGE_CHARS: usize = 256;

/// What stands at the end of a message that was cut.
const CUT: &str = " [cut]";

/// Replaces texts of an exchange.
pub(super) struct RedactStage {
    redactor: Arc<Redactor>,
    always: bool,
    error_messages: ErrorMessages,
}

impl RedactStage {
    pub(super) fn new(config: &RedactConfig, redactor: &Arc<Redactor>) -> Self {
        Self {
            redactor: Arc::clone(redactor),
            always: config.always,
            error_messages: config.error_messages,
        }
    }

    /// What is told of an error's message.
    fn message(&self, message: &str, with_content: bool) -> Option<String> {
        if self.error_messages == ErrorMessages::Off {
            return None;
        }
        let message = self
            .redactor
            .redact(message)
            .unwrap_or_else(|| message.to_owned());
        let end = message.char_indices().nth(MESSAGE_CHARS).map(|(at, _)| at);
        Some(match end.filter(|_| !with_content) {
            Some(end) => [&message[..end], CUT].concat(),
            None => message,
        })
    }

    fn error(&self, exchange: &mut Exchange) {
        let error = exchange.response.error.as_mut();
        let Some(said) = error.and_then(|error| error.message.take()) else {
            return;
        };
        // Neither is told if the next line panics.
        let failure = exchange.failure.as_mut();
        let failure = failure.filter(|failure| failure.message == said);
        let failure = failure.map(|failure| {
            failure.message.clear();
            &mut failure.message
        });
        let told = self.message(&said, exchange.content.is_some());
        if let Some(message) = failure {
            *message = told.clone().unwrap_or_default();
        }
        if let Some(error) = &mut exchange.response.error {
            error.message = told;
        }
    }
}

/// Whether there is something to look through.
pub(super) fn is_due(exchange: &Exchange, always: bool) -> bool {
    let error = exchange.response.error.as_deref();
    let has_variables = || exchange.template_variables().next().is_some();
    always || exchange.content.is_some() || error.is_some_and(has_message) || has_variables()
}

fn has_message(error: &ApiError) -> bool {
    error.message.is_some()
}

impl Stage for RedactStage {
    fn name(&self) -> &'static str {
        "redact"
    }

    fn run(&mut self, finished: &mut Finished) {
        let exchange = &mut *finished.exchange;
        if !is_due(exchange, self.always) {
            return;
        }
        self.error(exchange);
        let mut content = exchange.content.take();
        if let Some(content) = &mut content {
            content.replace_texts(&|text| self.redactor.redact(text));
        }
        let name = |text: &str| self.redactor.redact_name(text);
        exchange.replace_texts(&name);
        exchange.http.response_headers.replace_values(&name);
        exchange
            .unknown
            .replace(REDACTED, |text| name(text).is_some());
        exchange.content = content;
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::exchange::{Content, ContentPart, Failure, Template};
    use crate::sink::ExchangeId;

    const SAID: &str = "no, anna@example.com from 203.0.113.7";

    fn failed(message: &str) -> Exchange {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.response.error = Some(Box::new(ApiError {
            message: Some(message.to_owned()),
            ..ApiError::default()
        }));
        exchange.failure = Some(Failure {
            kind: "bad".to_owned(),
            message: message.to_owned(),
        });
        exchange.request.model = Some("for-anna@example.com".to_owned());
        exchange
    }

    /// An exchange behind the stage.
    fn run(config: &RedactConfig, exchange: Exchange) -> Exchange {
        let redactor = Arc::new(Redactor::new(config.policy.clone()));
        let mut finished = Finished {
            id: ExchangeId(1),
            exchange: Box::new(exchange),
            uncounted: None,
            held: None,
        };
        RedactStage::new(config, &redactor).run(&mut finished);
        *finished.exchange
    }

    #[test]
    fn variables_of_a_template_are_looked_through_without_any_content() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.template = Some(Box::new(Template {
            name: None,
            version: None,
            variables: vec![("mail".to_owned(), "anna@example.com".to_owned())],
        }));
        assert!(is_due(&exchange, false));
        let exchange = run(&RedactConfig::default(), exchange);
        let variables: Vec<_> = exchange.template_variables().collect();
        assert_eq!(variables, [("mail", "[EMAIL]")]);
    }

    #[test]
    fn what_an_upstream_says_of_an_error_is_cleaned_and_cut() {
        let exchange = run(&RedactConfig::default(), failed(SAID));
        let expected = "no, [EMAIL] from [IP]";
        assert_eq!(exchange.failure.unwrap().message, expected);
        let told = exchange.response.error.unwrap().message;
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(exchange.request.model.as_deref(), Some("[EMAIL]"));

        let long = "é".repeat(MESSAGE_CHARS + 1);
        let exchange = run(&RedactConfig::default(), failed(&long));
        let message = exchange.failure.unwrap().message;
        assert_eq!(message.chars().count(), MESSAGE_CHARS + CUT.len());
        let mut open = failed(&long);
        open.content = Some(Box::default());
        let exchange = run(&RedactConfig::default(), open);
        assert_eq!(exchange.failure.unwrap().message, long);
    }

    #[test]
    fn it_can_be_left_out_and_what_is_our_own_stays() {
        let off = RedactConfig {
            error_messages: ErrorMessages::Off,
            ..RedactConfig::default()
        };
        let exchange = run(&off, failed(SAID));
        assert_eq!(exchange.failure.unwrap().message, "");
        assert_eq!(exchange.response.error.unwrap().message, None);
        let mut cut = failed(SAID);
        cut.failure.as_mut().unwrap().message = "connection reset".to_owned();
        let exchange = run(&off, cut);
        assert_eq!(exchange.failure.unwrap().message, "connection reset");
    }

    #[test]
    fn an_exchange_without_content_is_looked_through_only_where_that_is_asked_for() {
        let mut exchange = failed("");
        exchange.response.error = None;
        let model = |config: &RedactConfig| run(config, exchange.clone()).request.model;
        let usual = model(&RedactConfig::default());
        assert_eq!(usual.as_deref(), Some("for-anna@example.com"));
        let always = model(&RedactConfig {
            always: true,
            ..RedactConfig::default()
        });
        assert_eq!(always.as_deref(), Some("[EMAIL]"));
    }

    #[test]
    fn content_is_cleaned() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.content = Some(Box::new(Content {
            system: vec![ContentPart::Text(SAID.to_owned())],
            ..Content::default()
        }));
        let exchange = run(&RedactConfig::default(), exchange);
        let expected = ContentPart::Text("no, [EMAIL] from [IP]".to_owned());
        assert_eq!(exchange.content.unwrap().system, [expected]);
    }
}
