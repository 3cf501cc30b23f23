//! Numbers that follow from the facts of an exchange, so that every sink agrees on them.

use std::time::Duration;

use super::{End, Exchange, Fate, Operation, Upstream, UpstreamFailure, UsageSource};

/// What APIs call it where an answer has as many tokens as it may have: chat and text completions, Messages, Gemini and what
/// gateways pass on of them, Responses.
const LENGTH_REASONS: [&str; 5] = [
    "length",
    "max_tokens",
    "MAX_TOKENS",
    "max_output_tokens",
    "model_context_window_exceeded",
];

impl Exchange {
    /// What was asked of a model, and whom; `None` for what is no call to a model, and where no upstream was chosen. Whether
    /// the model generates text is another question: [`Operation::generates_text`].
    #[must_use]
    pub fn model_call(&self) -> Option<(Operation, &Upstream)> {
        Some((self.operation?, self.upstream.as_ref()?))
    }

    /// How the upstream failed it; `None` where it did not: what the client did, or we, is no failure of an upstream.
    #[must_use]
    pub fn upstream_failure(&self) -> Option<UpstreamFailure<'_>> {
        let failure = self.failure.as_ref()?;
        match self.end {
            End::Rejected | End::ClientLeft => None,
            _ if failure.kind == "shutdown" => None,
            End::Refused | End::Timeout | End::Cut | End::Unfinished => {
                Some(UpstreamFailure::Transport(&failure.kind))
            }
            End::ErrorEvent => Some(UpstreamFailure::ErrorEvent),
            _ => {
                let status = self.http.status.filter(|status| *status >= 400)?;
                Some(UpstreamFailure::Status(status))
            }
        }
    }

    /// When the call to the upstream was issued: ready to go, connecting still ahead. Its span and durations count
    /// from here to [`call_end`](Self::call_end).
    #[must_use]
    pub fn issued(&self) -> Duration {
        let ready = self.times.forwarded.or(self.times.request_end);
        ready.unwrap_or_default().min(self.times.end)
    }

    /// When the call to the upstream was over: with the exchange, or later, where its answer was read on for a client that had
    /// left.
    #[must_use]
    pub fn call_end(&self) -> Duration {
        let read_on = self.aftermath.filter(|after| !after.fate.is_at_once());
        self.times.end + read_on.map_or(Duration::ZERO, |after| after.lasted)
    }

    /// Whether the answer came to its end, as far as we know.
    fn is_whole(&self) -> bool {
        match self.end {
            End::Done | End::HttpError | End::FinishWithoutDone | End::DoneWithoutFinish => true,
            End::ClientLeft => self
                .aftermath
                .is_some_and(|after| after.fate == Fate::Drained),
            _ => false,
        }
    }

    /// Whether a model's answer ended because it had as many tokens as it might have.
    #[must_use]
    pub fn is_cut_by_length(&self) -> bool {
        let reasons = self.response.choices.iter();
        let mut reasons = reasons.filter_map(|choice| choice.finish_reason.as_deref());
        reasons.any(|reason| LENGTH_REASONS.contains(&reason))
    }

    /// From the last byte of the request to an instant of the response. `None` where the upstream answered before the
    /// request was over.
    #[must_use]
    pub fn since_request(&self, at: Duration) -> Option<Duration> {
        at.checked_sub(self.times.request_end?)
    }

    /// Whether output was seen as it came, rather than all at once: in a stream of events, or as raw bytes.
    #[must_use]
    pub const fn output_is_timed(&self) -> bool {
        self.response.streamed || self.response.raw
    }

    /// Time to first token: from the last byte of the request to the first event with generated output, or to the first
    /// byte of sound. `None` for a response that was neither a stream nor sound.
    #[must_use]
    pub fn time_to_first_token(&self) -> Option<Duration> {
        let first = self.times.first_token?;
        self.since_request(first).filter(|_| self.output_is_timed())
    }

    /// Time to first chunk: from the hand-over to an upstream connection to the first SSE event.
    /// `None` for a response that was no stream.
    #[must_use]
    pub fn time_to_first_chunk(&self) -> Option<Duration> {
        let sent = self.times.sent?;
        self.response
            .streamed
            .then_some(self.times.first_chunk?)
            .map(|first| first.saturating_sub(sent))
    }

    /// Output tokens that were seen to come, where they are more than an estimate: those of the message itself, less the
    /// reasoning of which nothing was seen. That was over before the first token, and so was a compaction.
    #[must_use]
    pub fn seen_output_tokens(&self) -> Option<u64> {
        let usage = &self.usage;
        let output = self.reported_output_tokens()?;
        let output = usage.message_output_tokens.unwrap_or(output);
        let reasoning = usage.reasoning_output_tokens.unwrap_or_default();
        // Some (xAI) count it beside the output, which the total then tells.
        let beside = usage.input_tokens.and_then(|input| {
            let sum = input.checked_add(output)?.checked_add(reasoning)?;
            (usage.total_tokens? == sum).then_some(())
        });
        let hidden = self.times.first_reasoning.is_none() && beside.is_none();
        output.checked_sub(if hidden { reasoning } else { 0 })
    }

    /// Mean time per output token after the first: (last token - first token) / (output tokens - 1). Of output tokens only
    /// those [that were seen](Self::seen_output_tokens) count.
    /// `None` for a response that was no stream, with fewer than two tokens, or with an estimate of them.
    #[must_use]
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let spread = self
            .times
            .last_token?
            .checked_sub(self.times.first_token?)
            .filter(|spread| !spread.is_zero())?;
        let steps = self
            .seen_output_tokens()?
            .checked_sub(1)
            .filter(|n| *n > 0)?;
        self.response.streamed.then(|| spread.div_f64(steps as f64))
    }

    /// Input tokens, where they are more than an estimate.
    #[must_use]
    pub fn reported_input_tokens(&self) -> Option<u64> {
        let counted = self.usage.estimate.is_there();
        self.usage.input_tokens.filter(|_| !counted)
    }

    /// Output tokens, where they are more than an estimate.
    #[must_use]
    pub fn reported_output_tokens(&self) -> Option<u64> {
        let counted = self.usage.estimate.is_there();
        self.usage.output_tokens.filter(|_| !counted)
    }

    /// Bytes that came from the client: the request's body, and what it sent through a tunnel.
    #[must_use]
    pub fn bytes_from_client(&self) -> u64 {
        let tunnel = self.http.tunnel.unwrap_or_default();
        self.http.request_bytes.unwrap_or_default() + tunnel.from_client
    }

    /// Bytes that came from the upstream, in the same way.
    #[must_use]
    pub fn bytes_from_upstream(&self) -> u64 {
        let tunnel = self.http.tunnel.unwrap_or_default();
        self.http.response_bytes + tunnel.from_upstream
    }

    /// Whether the answer is generated in another call's time: it is only fetched, or goes on in the background. Its tokens
    /// are not this call's.
    #[must_use]
    pub fn generates_elsewhere(&self) -> bool {
        let goes_on = matches!(
            self.response.status.as_deref(),
            Some("queued" | "in_progress")
        );
        self.operation == Some(Operation::FetchResponse) || (goes_on && !self.response.streamed)
    }

    /// Where the token counts come from; `None` for what is no call to a model or
    /// [`generates_elsewhere`](Self::generates_elsewhere), and where there are none and none are due, as of an error in place of an answer.
    #[must_use]
    pub fn usage_source(&self) -> Option<UsageSource> {
        let operation = self.operation.filter(|_| !self.generates_elsewhere())?;
        // A count that came before the stream broke may have been a running one.
        let whole = self.is_whole();
        if self.usage.estimate.is_there() {
            return Some(UsageSource::Estimated);
        }
        Some(match (self.usage.input_tokens, self.usage.output_tokens) {
            (Some(_), Some(_)) if whole && !self.usage.partial => UsageSource::Reported,
            (Some(_), None) if whole && !operation.has_output_tokens() => UsageSource::Reported,
            // What failed before an answer began has used nothing, as far as anybody knows; sound has no place for them.
            (None, None) if self.has_failed() && !self.began_to_answer() => return None,
            (None, None) if !operation.reports_usage() || self.response.raw => return None,
            (None, None) if whole && self.usage.audio_input_duration.is_some() => {
                UsageSource::Reported
            }
            (None, None) => UsageSource::Missing,
            _ => UsageSource::ReportedPartial,
        })
    }

    /// Whether more may have been used than the counts tell, whoever counted: one of two is not there, or is a running one.
    #[must_use]
    pub fn is_usage_partial(&self) -> bool {
        let estimate = self.usage.estimate;
        match self.usage_source() {
            Some(UsageSource::ReportedPartial) => true,
            Some(UsageSource::Estimated) => {
                let has_output = self.operation.is_some_and(Operation::has_output_tokens);
                estimate.input_tokens.is_none() || (has_output && estimate.output_tokens.is_none())
            }
            _ => false,
        }
    }

    /// The status of the answer: as the client got it, or, where it had left before, as the upstream gave it.
    #[must_use]
    pub fn upstream_status(&self) -> Option<u16> {
        let mut attempts = self.attempts.iter().rev();
        self.http
            .status
            .or_else(|| attempts.find_map(|attempt| attempt.status))
    }

    /// Whether it failed, or was refused after its client had left.
    fn has_failed(&self) -> bool {
        let refused = |status: u16| !(200..300).contains(&status);
        self.failure.is_some() || self.upstream_status().is_some_and(refused)
    }

    /// Whether a model began to generate: a choice was there, or output.
    #[must_use]
    pub fn began_to_answer(&self) -> bool {
        !self.response.choices.is_empty() || self.times.first_token.is_some()
    }

    /// Whether its client left before a model had generated anything, as far as was seen.
    #[must_use]
    pub fn was_left_before_output(&self) -> bool {
        self.end == End::ClientLeft && self.times.first_token.is_none()
    }

    /// The conversation it is part of: as the response says, else the request, else what came with that. `None` where nothing
    /// does.
    #[must_use]
    pub fn conversation_id(&self) -> Option<&str> {
        let answered = self.response.conversation_id.as_deref();
        let asked = self.request.conversation_id.as_deref();
        answered.or(asked).or(self.named_conversation.as_deref())
    }

    /// `finish_reasons`, one per choice in order of index: the raw word, or `error` where a choice had begun and none
    /// came. None where no choice began; and a choice that only has a role when its client leaves has not.
    pub fn finish_reasons(&self) -> impl Iterator<Item = &str> {
        let left = self.was_left_before_output();
        let begun = self.response.choices.iter();
        let begun = begun.filter(move |choice| !left || choice.finish_reason.is_some());
        begun.map(|choice| choice.finish_reason.as_deref().unwrap_or("error"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Aftermath, Failure};
    use std::time::SystemTime;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn counts_of_a_stream_that_did_not_end_well_are_partial() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        assert_eq!(exchange.usage_source(), None);
        exchange.operation = Some(Operation::ChatCompletions);
        assert_eq!(exchange.usage_source(), Some(UsageSource::Missing));
        exchange.usage.input_tokens = Some(3);
        exchange.end = End::Done;
        assert_eq!(exchange.usage_source(), Some(UsageSource::ReportedPartial));
        exchange.usage.output_tokens = Some(4);
        for end in [End::Done, End::FinishWithoutDone, End::DoneWithoutFinish] {
            exchange.end = end;
            assert_eq!(exchange.usage_source(), Some(UsageSource::Reported));
        }
        for end in [
            End::Cut,
            End::Unfinished,
            End::ClientLeft,
            End::Timeout,
            End::ErrorEvent,
        ] {
            exchange.end = end;
            let source = exchange.usage_source();
            assert_eq!(source, Some(UsageSource::ReportedPartial), "{end:?}");
        }
    }

    #[test]
    fn what_was_read_on_to_its_end_for_a_client_that_had_left_is_whole() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.operation = Some(Operation::ChatCompletions);
        exchange.end = End::ClientLeft;
        exchange.times.end = MS(10);
        exchange.usage.input_tokens = Some(3);
        exchange.usage.output_tokens = Some(4);
        for (fate, source, end) in [
            (Fate::Drained, UsageSource::Reported, MS(15)),
            (Fate::LimitReached, UsageSource::ReportedPartial, MS(15)),
            (Fate::Cancelled, UsageSource::ReportedPartial, MS(10)),
        ] {
            exchange.aftermath = Some(Aftermath {
                lasted: MS(5),
                bytes: 0,
                fate,
            });
            assert_eq!(exchange.usage_source(), Some(source), "{fate:?}");
            assert_eq!(exchange.call_end(), end, "{fate:?}");
        }
    }

    #[test]
    fn estimates_are_no_report() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.operation = Some(Operation::ChatCompletions);
        exchange.usage.output_tokens = Some(4);
        assert_eq!(exchange.reported_output_tokens(), Some(4));
        exchange.usage.estimate.output_tokens = Some(4);
        assert_eq!(exchange.usage_source(), Some(UsageSource::Estimated));
        assert_eq!(exchange.reported_output_tokens(), None);
    }

    #[test]
    fn calls_that_generate_nothing_have_only_input_to_report() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.end = End::Done;
        for (operation, without) in [
            (Operation::Embeddings, Some(UsageSource::Missing)),
            (Operation::Rerank, Some(UsageSource::Missing)),
            (Operation::Moderation, None),
            (Operation::Tokenize, None),
            (Operation::Retrieval, None),
        ] {
            exchange.operation = Some(operation);
            exchange.usage.input_tokens = None;
            assert_eq!(exchange.usage_source(), without, "{operation:?}");
            exchange.usage.input_tokens = Some(3);
            let source = exchange.usage_source();
            assert_eq!(source, Some(UsageSource::Reported), "{operation:?}");
        }
        exchange.end = End::Cut;
        let source = exchange.usage_source();
        assert_eq!(source, Some(UsageSource::ReportedPartial));
    }

    #[test]
    fn no_usage_is_missed_of_an_error_in_place_of_an_answer() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.operation = Some(Operation::ChatCompletions);
        exchange.end = End::Done;
        exchange.failure = Some(Failure {
            kind: "500".to_owned(),
            message: String::new(),
        });
        assert_eq!(exchange.usage_source(), None);
        exchange.times.first_token = Some(MS(1));
        assert_eq!(exchange.usage_source(), Some(UsageSource::Missing));
        exchange.usage.input_tokens = Some(3);
        exchange.usage.output_tokens = Some(4);
        assert_eq!(exchange.usage_source(), Some(UsageSource::Reported));
    }

    #[test]
    fn seconds_of_audio_are_usage_and_sound_has_none() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.operation = Some(Operation::Transcription);
        exchange.end = End::Done;
        assert_eq!(exchange.usage_source(), Some(UsageSource::Missing));
        exchange.usage.audio_input_duration = Some(MS(9000));
        assert_eq!(exchange.usage_source(), Some(UsageSource::Reported));
        exchange.operation = Some(Operation::Speech);
        exchange.usage.audio_input_duration = None;
        exchange.response.raw = true;
        assert_eq!(exchange.usage_source(), None);
    }

    #[test]
    fn the_first_byte_of_sound_is_its_first_token() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.times.request_end = Some(MS(10));
        exchange.times.first_token = Some(MS(30));
        exchange.times.last_token = Some(MS(60));
        exchange.usage.output_tokens = Some(4);
        assert_eq!(
            exchange.time_to_first_token(),
            None,
            "neither stream nor sound"
        );
        exchange.response.raw = true;
        assert_eq!(exchange.time_to_first_token(), Some(MS(20)));
        assert_eq!(exchange.time_per_output_token(), None);
    }

    #[test]
    fn no_usage_is_missed_where_the_answer_is_generated_in_another_calls_time() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.operation = Some(Operation::FetchResponse);
        assert_eq!(exchange.usage_source(), None);
        exchange.operation = Some(Operation::Responses);
        for (status, elsewhere) in [
            ("queued", true),
            ("in_progress", true),
            ("completed", false),
        ] {
            exchange.response.status = Some(status.to_owned());
            assert_eq!(exchange.generates_elsewhere(), elsewhere, "{status}");
        }
        exchange.response.status = Some("in_progress".to_owned());
        exchange.response.streamed = true;
        assert!(!exchange.generates_elsewhere(), "a stream that broke off");
    }

    #[test]
    fn an_answer_before_the_end_of_the_request_has_no_time_to_first_token() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.response.streamed = true;
        exchange.times.first_token = Some(MS(30));
        assert_eq!(
            exchange.time_to_first_token(),
            None,
            "the request never ended"
        );
        exchange.times.request_end = Some(MS(31));
        assert_eq!(exchange.time_to_first_token(), None, "it ended later");
        exchange.times.request_end = Some(MS(10));
        assert_eq!(exchange.time_to_first_token(), Some(MS(20)));
    }

    #[test]
    fn output_that_came_at_once_says_nothing_of_the_time_per_token() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.response.streamed = true;
        exchange.times.first_token = Some(MS(1000));
        exchange.times.last_token = Some(MS(1000));
        exchange.usage.output_tokens = Some(2);
        assert_eq!(exchange.time_per_output_token(), None);
    }

    #[test]
    fn tokens_of_hidden_reasoning_do_not_shorten_the_time_per_token() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.response.streamed = true;
        exchange.times.first_token = Some(MS(1000));
        exchange.times.last_token = Some(MS(1400));
        exchange.usage.output_tokens = Some(501);
        assert_eq!(exchange.time_per_output_token(), Some(MS(400) / 500));
        exchange.usage.reasoning_output_tokens = Some(490);
        assert_eq!(exchange.time_per_output_token(), Some(MS(40)));
        exchange.times.first_reasoning = Some(MS(1000));
        assert_eq!(exchange.time_per_output_token(), Some(MS(400) / 500));
        exchange.times.first_reasoning = None;
        exchange.usage.reasoning_output_tokens = Some(501);
        assert_eq!(exchange.time_per_output_token(), None);
    }

    #[test]
    fn only_tokens_that_were_seen_count_for_the_time_per_token() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.usage.input_tokens = Some(9);
        exchange.usage.output_tokens = Some(500);
        assert_eq!(exchange.seen_output_tokens(), Some(500));
        exchange.usage.reasoning_output_tokens = Some(60);
        exchange.usage.total_tokens = Some(509);
        assert_eq!(exchange.seen_output_tokens(), Some(440));
        exchange.usage.total_tokens = Some(569);
        assert_eq!(exchange.seen_output_tokens(), Some(500), "beside");
        exchange.usage.total_tokens = None;
        exchange.usage.message_output_tokens = Some(100);
        assert_eq!(
            exchange.seen_output_tokens(),
            Some(40),
            "after a compaction"
        );
        exchange.usage.estimate.output_tokens = Some(1);
        assert_eq!(exchange.seen_output_tokens(), None);
    }

    #[test]
    fn counts_of_a_part_of_what_was_asked_are_partial() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.operation = Some(Operation::ChatCompletions);
        exchange.end = End::Done;
        exchange.usage.input_tokens = Some(3);
        exchange.usage.output_tokens = Some(4);
        exchange.usage.partial = true;
        assert_eq!(exchange.usage_source(), Some(UsageSource::ReportedPartial));
    }
}
