//! How much memory an exchange takes, for whoever keeps many of them within a bound.
//!
//! What is shared with others, such as the name of an upstream, is not counted. A new field must be named here before anything
//! compiles.

use std::mem::size_of;

use super::{
    Answer, ApiError, Attempt, Content, ContentMessage, ContentPart, ContentTool, Conversation,
    Drift, Exchange, Failure, History, Http, Request, Response, Served, Stored, Template, Trace,
};

impl Exchange {
    /// Its size with everything that it points to, in bytes; what the allocator adds is not in it.
    #[must_use]
    pub fn weight(&self) -> usize {
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
            rate_limits,
            times: _,
            flow,
            end: _,
            failure,
            aftermath: _,
            integrity: _,
            is_identical: _,
            history,
            conversation,
            content,
            moved,
            problems: _,
            quirks: _,
            unknown,
        } = self;
        let told = annotations.iter().map(|(_, value)| value.len());
        let of_trace = trace.as_ref().map_or(0, of_trace);
        let unknown = unknown.iter().map(|one| one.name.len() + one.shape.len());
        size_of::<Self>()
            + of_http(http)
            + list(annotations)
            + told.sum::<usize>()
            + some(named_conversation)
            + template.as_deref().map_or(0, of_template)
            + of_trace
            + list(attempts)
            + attempts
                .iter()
                .map(|Attempt { url, .. }| url.len())
                .sum::<usize>()
            + of_request(request)
            + of_response(response)
            + drift.as_deref().map_or(0, of_drift)
            + list(rate_limits)
            + list(&flow.stalls)
            + list(&flow.gaps)
            + failure
                .as_ref()
                .map_or(0, |Failure { kind, message }| kind.len() + message.len())
            + history.as_deref().map_or(0, of_history)
            + conversation.as_deref().map_or(0, of_conversation)
            + content.as_deref().map_or(0, of_content)
            + list(moved)
            + unknown.sum::<usize>()
    }
}

/// Bytes of the elements of a list, without what they point to.
const fn list<T>(list: &[T]) -> usize {
    size_of_val(list)
}

fn some(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

fn all<'t>(texts: impl IntoIterator<Item = &'t Option<String>>) -> usize {
    texts.into_iter().map(some).sum()
}

fn of_http(http: &Http) -> usize {
    http.method.len()
        + http.path.len()
        + all([&http.query, &http.host, &http.user_agent])
        + http.response_headers.bytes()
}

fn of_trace(trace: &Trace) -> usize {
    let told = trace.told_upstream.as_deref();
    some(&trace.tracestate) + told.map_or(0, size_of_val)
}

fn of_template(template: &Template) -> usize {
    let variables = template.variables.iter();
    size_of::<Template>()
        + all([&template.name, &template.version])
        + list(&template.variables)
        + variables
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
}

fn of_request(request: &Request) -> usize {
    let stops = request.stop_sequences.as_deref().unwrap_or_default();
    list(stops)
        + stops.iter().map(String::len).sum::<usize>()
        + all([
            &request.model,
            &request.reasoning_level,
            &request.service_tier,
            &request.encoding_format,
            &request.data_source,
            &request.conversation_id,
            &request.previous_response_id,
            &request.prompt_name,
            &request.prompt_version,
            &request.stream_cursor,
            &request.forced_tool,
        ])
}

fn of_response(response: &Response) -> usize {
    let choices = response.choices.iter();
    let calls = response.tool_calls.iter();
    let error = response.error.as_deref();
    list(&response.choices)
        + choices
            .map(|choice| some(&choice.finish_reason))
            .sum::<usize>()
        + list(&response.tool_calls)
        + calls
            .map(|call| some(&call.id) + call.name.len())
            .sum::<usize>()
        + error.map_or(
            0,
            |ApiError {
                 code,
                 kind,
                 message,
                 status: _,
             }| { size_of::<ApiError>() + all([code, kind, message]) },
        )
        + all([
            &response.id,
            &response.model,
            &response.service_tier,
            &response.system_fingerprint,
            &response.status,
            &response.conversation_id,
        ])
}

fn of_drift(drift: &Drift) -> usize {
    let served = [Some(&drift.now), drift.before.as_ref()]
        .into_iter()
        .flatten();
    let texts = served.map(|Served { model, fingerprint }| model.len() + some(fingerprint));
    size_of::<Drift>() + texts.sum::<usize>()
}

fn of_history(history: &History) -> usize {
    let answers = history.answers.iter().chain(&history.answer);
    size_of::<History>()
        + list(&history.parameters)
        + list(&history.items)
        + list(&history.answers)
        + list(&history.results)
        + list(&history.item_ids)
        + list(&history.ids_in_text)
        + answers.map(of_answer).sum::<usize>()
}

fn of_answer(answer: &Answer) -> usize {
    let calls = answer.calls.iter();
    list(&answer.text_prefixes)
        + list(&answer.item_ids)
        + list(&answer.calls)
        + calls.map(|call| list(&call.strings)).sum::<usize>()
}

fn of_conversation(place: &Conversation) -> usize {
    let waits = place.waits.iter();
    size_of::<Conversation>()
        + list(&place.waits)
        + waits
            .map(|wait| wait.name.len() + some(&wait.call_id))
            .sum::<usize>()
        + list(&place.repeated_calls)
}

fn of_content(content: &Content) -> usize {
    let Content {
        policy: _,
        shown_bytes: _,
        system,
        input,
        output,
        tools,
        missing,
        stored,
    } = content;
    let messages = input.iter().chain(output);
    size_of::<Content>()
        + list(system)
        + list(input)
        + list(output)
        + list(tools)
        + list(missing)
        + system.iter().map(of_part).sum::<usize>()
        + messages.map(of_message).sum::<usize>()
        + tools.iter().map(of_tool).sum::<usize>()
        + stored.as_deref().map_or(0, of_stored)
}

fn of_stored(stored: &Stored) -> usize {
    let links = stored.links.iter();
    size_of::<Stored>()
        + list(&stored.objects)
        + stored
            .objects
            .iter()
            .map(|one| one.bytes.len())
            .sum::<usize>()
        + links
            .map(|links| links.prompt.len() + some(&links.answer))
            .sum::<usize>()
}

fn of_message(message: &ContentMessage) -> usize {
    let parts = &message.parts;
    all([&message.name, &message.finish_reason])
        + list(parts)
        + parts.iter().map(of_part).sum::<usize>()
}

fn of_part(part: &ContentPart) -> usize {
    match part {
        ContentPart::Text(text) | ContentPart::Reasoning(text) | ContentPart::Refusal(text) => {
            text.len()
        }
        ContentPart::ToolCall {
            id,
            name,
            arguments,
        } => some(id) + name.len() + arguments.len(),
        ContentPart::ToolCallResponse { id, response } => some(id) + response.len(),
        ContentPart::Blob { mime_type, .. } => some(mime_type),
        ContentPart::Uri { mime_type, uri, .. } => some(mime_type) + uri.len(),
        ContentPart::File {
            mime_type, file_id, ..
        } => some(mime_type) + file_id.len(),
        ContentPart::Other { kind, bytes: _ } => kind.len(),
    }
}

fn of_tool(tool: &ContentTool) -> usize {
    tool.kind.len() + tool.name.len() + all([&tool.description, &tool.parameters])
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::exchange::{ContentPolicy, Speaker};

    #[test]
    fn an_exchange_weighs_what_it_is_and_what_it_points_to() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        let bare = exchange.weight();
        assert!(bare >= size_of::<Exchange>());
        exchange.request.model = Some("m".repeat(1_000));
        assert_eq!(exchange.weight(), bare + 1_000);
        exchange.http.path = "/v".repeat(50).into();
        assert_eq!(exchange.weight(), bare + 1_100);
    }

    #[test]
    fn content_weighs_as_much_as_its_texts() {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        let bare = exchange.weight();
        exchange.content = Some(Box::new(Content {
            policy: ContentPolicy::default(),
            input: vec![ContentMessage {
                speaker: Speaker::User,
                name: None,
                parts: vec![ContentPart::Text("x".repeat(1 << 20))],
                finish_reason: None,
            }],
            ..Content::default()
        }));
        let added = exchange.weight() - bare;
        let frame = size_of::<Content>() + size_of::<ContentMessage>() + size_of::<ContentPart>();
        assert_eq!(added, frame + (1 << 20));
    }
}
