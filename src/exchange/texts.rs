//! Every text of an exchange that somebody outside has chosen, in one place: whoever has to replace something in all of them
//! forgets none. A new field must be named here before anything compiles.

use super::{
    ApiError, Attempt, Choice, Drift, Exchange, Failure, Http, Request, Response, Served, Template,
    ToolCall, ToolWait, Trace, Unknowns,
};

/// What a text is replaced by; `None` where it stays.
pub type Replace<'r> = dyn Fn(&str) -> Option<String> + 'r;

impl Exchange {
    /// Replaces texts. Those of [`Http::response_headers`] and of [`Exchange::unknown`] are not among them: they are cut or
    /// changed where they are taken, so that what is looked for may not stand in them as it was.
    pub fn replace_texts(&mut self, by: &Replace<'_>) {
        let Self {
            started_at: _,
            operation: _,
            of_session: _,
            mistaken: _,
            http,
            annotations,
            key_fingerprint: _,
            named_conversation,
            template,
            prompt_fingerprint: _,
            trace,
            sampling: _,
            upstream: _,
            endpoint: _,
            attempts,
            request,
            response,
            usage: _,
            price: _,
            drift,
            history: _,
            conversation,
            content,
            moved: _,
            rate_limits: _,
            times: _,
            flow: _,
            end: _,
            failure,
            integrity: _,
            problems: _,
            quirks: _,
            unknown: Unknowns { .. },
            aftermath: _,
            is_identical: _,
        } = self;
        of_http(http, by);
        for (_, value) in annotations {
            one(value, by);
        }
        some(named_conversation, by);
        if let Some(Template {
            name,
            version,
            variables,
        }) = template.as_deref_mut()
        {
            some(name, by);
            some(version, by);
            for (name, value) in variables {
                one(name, by);
                one(value, by);
            }
        }
        if let Some(Trace { tracestate, .. }) = trace {
            some(tracestate, by);
        }
        for Attempt { url, .. } in attempts {
            one(url, by);
        }
        if let Some(Drift { now, before, .. }) = drift.as_deref_mut() {
            for Served { model, fingerprint } in [now].into_iter().chain(before) {
                one(model, by);
                some(fingerprint, by);
            }
        }
        of_request(request, by);
        of_response(response, by);
        if let Some(Failure { kind, message }) = failure {
            one(kind, by);
            one(message, by);
        }
        for ToolWait { name, call_id, .. } in conversation.iter_mut().flat_map(|it| &mut it.waits) {
            one(name, by);
            some(call_id, by);
        }
        if let Some(content) = content {
            content.replace_texts(by);
        }
    }
}

fn of_http(http: &mut Http, by: &Replace<'_>) {
    let Http {
        method,
        scheme: _,
        path,
        query,
        route: _,
        version: _,
        host,
        user_agent,
        peer: _,
        status: _,
        response_headers: _,
        request_bytes: _,
        response_bytes: _,
        trace_id: _,
        tunnel: _,
        retry_count: _,
    } = http;
    if let Some(other) = by(method) {
        *method = other.into();
    }
    if let Some(other) = by(path) {
        *path = other.into();
    }
    some(query, by);
    some(host, by);
    some(user_agent, by);
}

fn of_request(request: &mut Request, by: &Replace<'_>) {
    let Request {
        model,
        stream: _,
        max_tokens: _,
        choice_count: _,
        temperature: _,
        top_p: _,
        top_k: _,
        frequency_penalty: _,
        presence_penalty: _,
        stop_sequences,
        seed: _,
        reasoning_level,
        output_type: _,
        service_tier,
        encoding_format,
        dimensions: _,
        data_source,
        result_limit: _,
        conversation_id,
        previous_response_id,
        compacted: _,
        prompt_name,
        prompt_version,
        stream_cursor,
        forced_tool,
        prompt_chars: _,
        usage_injected: _,
        body: _,
    } = request;
    for text in [
        model,
        reasoning_level,
        service_tier,
        encoding_format,
        data_source,
        conversation_id,
        previous_response_id,
        prompt_name,
        prompt_version,
        stream_cursor,
        forced_tool,
    ] {
        some(text, by);
    }
    for text in stop_sequences.iter_mut().flatten() {
        one(text, by);
    }
}

fn of_response(response: &mut Response, by: &Replace<'_>) {
    let Response {
        streamed: _,
        raw: _,
        id,
        model,
        choices,
        service_tier,
        system_fingerprint,
        tool_calls,
        content_chars: _,
        reasoning_chars: _,
        refusal_chars: _,
        logprobs: _,
        done: _,
        status,
        conversation_id,
        compacted: _,
        error,
        truncated: _,
        server_times: _,
        provider: _,
    } = response;
    for text in [
        id,
        model,
        service_tier,
        system_fingerprint,
        status,
        conversation_id,
    ] {
        some(text, by);
    }
    for Choice {
        index: _,
        finish_reason,
    } in choices
    {
        some(finish_reason, by);
    }
    for ToolCall {
        choice: _,
        index: _,
        id,
        name,
        kind: _,
        forced: _,
        arguments_chars: _,
        arguments_bytes: _,
        arguments: _,
        arguments_end: _,
    } in tool_calls
    {
        some(id, by);
        one(name, by);
    }
    if let Some(ApiError {
        code,
        kind,
        message,
        status: _,
    }) = error.as_deref_mut()
    {
        for text in [code, kind, message] {
            some(text, by);
        }
    }
}

fn some(text: &mut Option<String>, by: &Replace<'_>) {
    if let Some(text) = text {
        one(text, by);
    }
}

fn one(text: &mut String, by: &Replace<'_>) {
    if let Some(other) = by(text) {
        *text = other;
    }
}
