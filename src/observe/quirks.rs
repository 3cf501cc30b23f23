//! Quirks that only a whole exchange shows: request beside response, and how it ended.

use crate::exchange::{End, Exchange, Operation, Quirk, Quirks, UsageSource, Why};

/// The quirks that its settled facts show.
pub(super) fn of_whole(exchange: &Exchange) -> Quirks {
    let response = &exchange.response;
    let ended = exchange.end == End::Done;
    let cut = matches!(exchange.end, End::Cut | End::Unfinished);
    let broken = cut && exchange.times.response_head.is_some();
    let unsent = exchange.request.usage_injected
        && response.streamed
        && ended
        && exchange.usage_source() == Some(UsageSource::Missing);
    Quirks::seen([
        (not_as_asked(exchange), Quirk::NotAsAsked),
        (broken, Quirk::Broken),
        (unsent, Quirk::UsageNotSent),
        (usage_refused(exchange), Quirk::UsageRefused),
        (sums_differ(exchange), Quirk::UsageSums),
        (ended && is_thought_only(exchange), Quirk::NoAnswer),
        (calls_unannounced(exchange), Quirk::CallsUnannounced),
        (exchange.end == End::FinishWithoutDone, Quirk::NoDone),
        (exchange.end == End::DoneWithoutFinish, Quirk::NoFinish),
        (exchange.end == End::ErrorEvent, Quirk::ErrorInside),
    ])
}

/// Whether a stream was asked for and not sent, or the other way round. Unknown where the request was not read, or the
/// API has other ways to ask.
fn not_as_asked(exchange: &Exchange) -> bool {
    let asks_by_member = matches!(
        exchange.operation,
        Some(
            Operation::ChatCompletions
                | Operation::Completions
                | Operation::Responses
                | Operation::Messages
        )
    );
    let problems = &exchange.problems;
    let request = &exchange.request;
    let read = request.prompt_chars.is_some() || request.stream.is_some();
    let known = asks_by_member && read && problems.malformed == 0 && !problems.is_partial();
    let answered = exchange.http.status.is_some_and(|status| status < 300)
        && exchange.times.first_byte.is_some();
    let asked = request.stream == Some(true);
    known && answered && exchange.response.error.is_none() && asked != exchange.response.streamed
}

/// Whether the request succeeded only without what it asked for on the client's behalf. A repeat that fails as well says that
/// the request was wrong in itself, and repeats for other reasons say nothing of the API.
fn usage_refused(exchange: &Exchange) -> bool {
    let succeeded = |status: u16| (200..300).contains(&status);
    let mut attempts = exchange.attempts.iter();
    attempts
        .any(|attempt| attempt.why == Why::UsageRefused && attempt.status.is_some_and(succeeded))
}

/// Whether the counts contradict each other: the total is no sum, or a part is more than its whole.
fn sums_differ(exchange: &Exchange) -> bool {
    let usage = &exchange.usage;
    let (Some(input), Some(output)) = (usage.input_tokens, usage.output_tokens) else {
        return false;
    };
    let sum = input.checked_add(output);
    let reasoning = usage.reasoning_output_tokens.unwrap_or_default();
    usage.total_tokens.is_some_and(|total| Some(total) != sum) || reasoning > output
}

/// Whether a model thought, finished, and said nothing.
fn is_thought_only(exchange: &Exchange) -> bool {
    let response = &exchange.response;
    let chars = [response.content_chars, response.refusal_chars];
    response.reasoning_chars.is_some_and(|chars| chars > 0)
        && chars.into_iter().flatten().all(|chars| chars == 0)
        && response.tool_calls.is_empty()
}

/// Whether a choice of a chat asked for tools, and gave the reason of one that did not.
fn calls_unannounced(exchange: &Exchange) -> bool {
    let response = &exchange.response;
    let stopped = |index: u64| {
        let mut choices = response.choices.iter();
        choices
            .any(|choice| choice.index == index && choice.finish_reason.as_deref() == Some("stop"))
    };
    exchange.operation == Some(Operation::ChatCompletions)
        && response.tool_calls.iter().any(|call| stopped(call.choice))
}
