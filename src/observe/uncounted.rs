//! What the tokens of an exchange are counted in, where nobody reported them, or the counting is to be checked.

use bytes::Bytes;

use crate::dialect::{Dialect, PromptTokens, Texts};
use crate::exchange::{Exchange, Operation, Problems, Quirk, Request, UsageSource};
use crate::pipeline::{Pipeline, PromptTexts, Uncounted};
use crate::sink::ExchangeId;

/// Whether the tokens of an exchange are to be counted: nobody reported them, or the counting is to be checked.
pub(super) fn wants_counting(exchange: &Exchange, pipeline: &Pipeline, id: ExchangeId) -> bool {
    match exchange.usage_source() {
        Some(UsageSource::Missing) => pipeline.wants_texts(),
        Some(UsageSource::Reported) => pipeline.checks(id),
        _ => false,
    }
}

/// What the tokens are counted in, where there was a good answer, or the beginning of one. What passed
/// unseen would be missing in an estimate, so then there is none.
pub(super) fn uncounted(
    exchange: &Exchange,
    dialect: Option<&dyn Dialect>,
    body: Option<Bytes>,
    generated: Option<Texts>,
) -> Option<Box<Uncounted>> {
    let dialect = dialect?;
    let status = exchange.upstream_status()?;
    let good = (200..300).contains(&status) && exchange.failure.is_none() && answered(exchange);
    let wanted = good && !exchange.problems.is_partial();
    wanted.then(|| {
        let prompt = body.and_then(|body| prompt_texts(dialect, &body));
        // Of what nobody waited for it is not known that it would have been nothing.
        let generated = generated.filter(|_| !exchange.was_left_before_output());
        let generated = generated.and_then(Texts::into_texts);
        Box::new(Uncounted { prompt, generated })
    })
}

/// Whether anything of an answer came. An empty body and a `null` are none; where a model generates, a choice begins, or
/// output comes.
fn answered(exchange: &Exchange) -> bool {
    if exchange.operation.is_some_and(Operation::generates_text) {
        return exchange.began_to_answer();
    }
    let unread = exchange.problems.malformed > 0
        || exchange
            .quirks
            .iter()
            .any(|quirk| quirk == Quirk::EmptyBody);
    exchange.times.first_byte.is_some() && !unread
}

/// The texts of a prompt. The body is read again for them: most exchanges report their tokens.
fn prompt_texts(dialect: &dyn Dialect, body: &[u8]) -> Option<PromptTexts> {
    let (mut request, mut problems) = (Request::default(), Problems::default());
    let mut texts = Vec::new();
    let mut framing = PromptTokens::new(|text: &str| {
        texts.push(text.to_owned());
        Some(0)
    });
    dialect.request(body, &mut request, &mut problems, &mut framing);
    let tokens = framing.tokens()?;
    Some(PromptTexts { texts, tokens })
}
