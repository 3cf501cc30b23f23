//! Numbers that follow from the facts of an exchange, so that every sink agrees on them.

use std::time::Duration;

use super::{Call, End, Exchange, Upstream, UsageSource};

impl Exchange {
    /// The inference call and where it went; `None` for what is no inference call, and where no upstream was chosen.
    #[must_use]
    pub fn inference(&self) -> Option<(Call, &Upstream)> {
        Some((self.call?, self.upstream.as_ref()?))
    }

    /// When the call to the upstream was issued: ready to go, connecting still ahead. Its span and durations count
    /// from here to [`Times::end`](super::Times::end).
    #[must_use]
    pub fn issued(&self) -> Duration {
        let ready = self.times.forwarded.or(self.times.request_end);
        ready.unwrap_or_default().min(self.times.end)
    }

    /// Place of the attempt whose response the client got: the last that had one.
    #[must_use]
    pub fn answering_attempt(&self) -> Option<usize> {
        self.attempts
            .iter()
            .rposition(|attempt| attempt.status.is_some())
    }

    /// When an attempt was over: with the exchange where its response went to the client or nothing had come yet, else
    /// at its head, since the rest was let go.
    #[must_use]
    pub fn attempt_end(&self, at: usize) -> Duration {
        let ended = self.attempts.get(at).and_then(|attempt| attempt.ended);
        match ended {
            Some(ended) if self.answering_attempt() != Some(at) => ended,
            _ => self.times.end,
        }
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

    /// Mean time per output token after the first: (last token - first token) / (output tokens - 1). Reasoning of which
    /// nothing was seen was over before the first token, so its tokens do not count.
    /// `None` for a response that was no stream, with fewer than two tokens, or with an estimate of them.
    #[must_use]
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let spread = self
            .times
            .last_token?
            .checked_sub(self.times.first_token?)
            .filter(|spread| !spread.is_zero())?;
        let seen_reasoning = self.times.first_reasoning.is_some();
        let reasoning = self.usage.reasoning_output_tokens;
        let hidden = reasoning.filter(|_| !seen_reasoning).unwrap_or_default();
        let steps = self
            .reported_output_tokens()?
            .checked_sub(hidden + 1)
            .filter(|n| *n > 0)?;
        self.response.streamed.then(|| spread.div_f64(steps as f64))
    }

    /// Input tokens, where they are more than an estimate.
    #[must_use]
    pub fn reported_input_tokens(&self) -> Option<u64> {
        self.usage.input_tokens.filter(|_| !self.usage.estimated)
    }

    /// Output tokens, where they are more than an estimate.
    #[must_use]
    pub fn reported_output_tokens(&self) -> Option<u64> {
        self.usage.output_tokens.filter(|_| !self.usage.estimated)
    }

    /// What the proxy itself cost: from the last byte of the request until it went out for the last time, plus the time
    /// frames spent inside. An attempt that had to be repeated is our doing; setting up a connection to the upstream is
    /// the upstream's time.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        let last = self.attempts.last().map(|attempt| attempt.started);
        let ready = match (self.times.request_end, last.or(self.times.forwarded)) {
            (Some(read), Some(ready)) => ready.saturating_sub(read),
            _ => Duration::ZERO,
        };
        ready + self.times.held
    }

    /// Bytes that came from the client: the request's body, and what it sent through a tunnel.
    #[must_use]
    pub fn bytes_from_client(&self) -> u64 {
        let tunnel = self.http.tunnel.unwrap_or_default();
        self.http.request_bytes + tunnel.from_client
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
        self.call == Some(Call::FetchResponse) || (goes_on && !self.response.streamed)
    }

    /// Where the token counts come from; `None` for what is no call to a model or
    /// [`generates_elsewhere`](Self::generates_elsewhere), and where there are none and none are due.
    #[must_use]
    pub fn usage_source(&self) -> Option<UsageSource> {
        let call = self.call.filter(|_| !self.generates_elsewhere())?;
        // A count that came before the stream broke may have been a running one.
        let whole = matches!(
            self.end,
            End::Done | End::FinishWithoutDone | End::DoneWithoutFinish
        );
        if self.usage.estimated {
            return Some(UsageSource::Estimated);
        }
        Some(match (self.usage.input_tokens, self.usage.output_tokens) {
            (Some(_), Some(_)) if whole => UsageSource::Reported,
            (Some(_), None) if whole && !call.has_output_tokens() => UsageSource::Reported,
            // Sound has no place for them.
            (None, None) if !call.reports_usage() || self.response.raw => return None,
            (None, None) if whole && self.usage.audio_input_duration.is_some() => {
                UsageSource::Reported
            }
            (None, None) => UsageSource::Missing,
            _ => UsageSource::ReportedPartial,
        })
    }

    /// The conversation it is part of: as the response says, else the request. `None` where neither does.
    #[must_use]
    pub fn conversation_id(&self) -> Option<&str> {
        let answered = self.response.conversation_id.as_deref();
        answered.or(self.request.conversation_id.as_deref())
    }

    /// `finish_reasons`, one per choice in order of index: the raw word, or `error` where a choice had begun and none
    /// came. `None` where no choice began.
    #[must_use]
    pub fn finish_reasons(&self) -> Option<Vec<&str>> {
        let choices = &self.response.choices;
        (!choices.is_empty()).then(|| {
            choices
                .iter()
                .map(|choice| choice.finish_reason.as_deref().unwrap_or("error"))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attempt, Trace};
    use super::*;
    use std::time::SystemTime;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn attempt(started: u64) -> Attempt {
        Attempt {
            url: String::new(),
            started: MS(started),
            ended: None,
            status: None,
            error: None,
        }
    }

    #[test]
    fn an_attempt_that_had_to_be_repeated_is_the_proxys_own_cost() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.times.request_end = Some(MS(10));
        exchange.times.forwarded = Some(MS(11));
        exchange.times.held = MS(2);
        exchange.attempts = vec![attempt(11)];
        assert_eq!(exchange.overhead(), MS(3));
        exchange.attempts.push(attempt(40));
        assert_eq!(exchange.overhead(), MS(32));
    }

    #[test]
    fn counts_of_a_stream_that_did_not_end_well_are_partial() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        assert_eq!(exchange.usage_source(), None);
        exchange.call = Some(Call::ChatCompletions);
        assert_eq!(exchange.usage_source(), Some(UsageSource::Missing));
        exchange.usage.input_tokens = Some(3);
        exchange.end = End::Done;
        assert_eq!(exchange.usage_source(), Some(UsageSource::ReportedPartial));
        exchange.usage.output_tokens = Some(4);
        for end in [End::Done, End::FinishWithoutDone, End::DoneWithoutFinish] {
            exchange.end = end;
            assert_eq!(exchange.usage_source(), Some(UsageSource::Reported));
        }
        for end in [End::Cut, End::ClientLeft, End::Timeout, End::ErrorEvent] {
            exchange.end = end;
            let source = exchange.usage_source();
            assert_eq!(source, Some(UsageSource::ReportedPartial), "{end:?}");
        }
    }

    #[test]
    fn estimates_are_no_report() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.call = Some(Call::ChatCompletions);
        exchange.usage.output_tokens = Some(4);
        assert_eq!(exchange.reported_output_tokens(), Some(4));
        exchange.usage.estimated = true;
        assert_eq!(exchange.usage_source(), Some(UsageSource::Estimated));
        assert_eq!(exchange.reported_output_tokens(), None);
    }

    #[test]
    fn calls_that_generate_nothing_have_only_input_to_report() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.end = End::Done;
        for (call, without) in [
            (Call::Embeddings, Some(UsageSource::Missing)),
            (Call::Rerank, Some(UsageSource::Missing)),
            (Call::Moderation, None),
            (Call::Tokenize, None),
            (Call::Retrieval, None),
        ] {
            exchange.call = Some(call);
            exchange.usage.input_tokens = None;
            assert_eq!(exchange.usage_source(), without, "{call:?}");
            exchange.usage.input_tokens = Some(3);
            let source = exchange.usage_source();
            assert_eq!(source, Some(UsageSource::Reported), "{call:?}");
        }
        exchange.end = End::Cut;
        let source = exchange.usage_source();
        assert_eq!(source, Some(UsageSource::ReportedPartial));
    }

    #[test]
    fn seconds_of_audio_are_usage_and_sound_has_none() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.call = Some(Call::Transcription);
        exchange.end = End::Done;
        assert_eq!(exchange.usage_source(), Some(UsageSource::Missing));
        exchange.usage.audio_input_duration = Some(MS(9000));
        assert_eq!(exchange.usage_source(), Some(UsageSource::Reported));
        exchange.call = Some(Call::Speech);
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
        exchange.call = Some(Call::FetchResponse);
        assert_eq!(exchange.usage_source(), None);
        exchange.call = Some(Call::Responses);
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
    fn a_traceparent_names_the_span_and_says_whether_it_is_sampled() {
        let mut trace = Trace {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            parent_span_id: None,
            server_span_id: 1,
            client_span_id: 0xb7ad,
            sampled: true,
            tracestate: None,
        };
        let expected = *b"00-0af7651916cd43dd8448eb211c80319c-000000000000b7ad-01";
        assert_eq!(trace.traceparent(trace.client_span_id), expected);
        trace.sampled = false;
        assert!(trace.traceparent(1).ends_with(b"-0000000000000001-00"));
    }
}
