//! A request as a command for a shell.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::exchange::{Content, ContentMessage, ContentPart, Exchange, Operation, Speaker};

/// What stands for a body that is not shown.
const NO_BODY: &str = "@request.json";

/// The command that sends the same request through the proxy at this base URL (`http://HOST:PORT/v1`). A key comes from the shell's
/// environment. The body is that of a chat whose content is shown (the policy `attributes`), put together from its texts; else a file
/// of the user's.
#[must_use]
pub(super) fn curl(exchange: &Exchange, base_url: &str) -> String {
    let http = &exchange.http;
    let query = http
        .query
        .as_ref()
        .map_or_else(String::new, |query| format!("?{query}"));
    let url = format!("{}{}{query}", base_of(base_url), http.path);
    let mut command = String::from("curl");
    if exchange.response.streamed {
        command += " -N";
    }
    if !matches!(&*http.method, "GET" | "POST") {
        let _ = write!(command, " -X {}", quoted(&http.method));
    }
    let _ = write!(command, " {}", quoted(&url));
    if exchange.key_fingerprint.is_some() {
        command += " -H \"Authorization: Bearer $OPENAI_API_KEY\"";
    }
    if http.method == "POST" {
        let body = chat(exchange).map_or_else(|| NO_BODY.to_owned(), |body| body.to_string());
        let _ = write!(
            command,
            " -H 'content-type: application/json' --data {}",
            quoted(&body)
        );
    }
    command
}

/// The origin of a base URL.
pub(super) fn base_of(base_url: &str) -> &str {
    base_url.strip_suffix("/v1").unwrap_or(base_url)
}

/// A word of a shell, whatever is in it. Control characters are left out: what is pasted must not end a line.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The body of a chat of texts; `None` where its content is not shown, or not all of it is text.
fn chat(exchange: &Exchange) -> Option<Value> {
    let content = exchange.content.as_deref()?;
    let is_shown =
        content.policy.attributes && content.missing.is_empty() && content.tools.is_empty();
    if exchange.operation != Some(Operation::ChatCompletions) || !is_shown {
        return None;
    }
    let mut body = json!({ "model": exchange.request.model, "messages": messages(content)? });
    if let Some(stream) = exchange.request.stream {
        body["stream"] = stream.into();
    }
    Some(body)
}

fn messages(content: &Content) -> Option<Vec<Value>> {
    content.input.iter().map(message).collect()
}

fn message(message: &ContentMessage) -> Option<Value> {
    let role = match message.speaker {
        Speaker::System => "system",
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
        Speaker::Tool | Speaker::Other => return None,
    };
    match message.parts.as_slice() {
        [ContentPart::Text(text)] => Some(json!({ "role": role, "content": text })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::exchange::ContentPolicy;

    fn post(path: &str) -> Exchange {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.http.method = "POST".into();
        exchange.http.path = path.into();
        exchange.operation = Some(Operation::ChatCompletions);
        exchange
    }

    #[test]
    fn a_request_without_shown_content_has_a_file_in_its_place() {
        let command = curl(&post("/v1/chat/completions"), "http://127.0.0.1:8080/v1");
        assert_eq!(
            command,
            "curl 'http://127.0.0.1:8080/v1/chat/completions' -H 'content-type: application/json' --data '@request.json'"
        );
    }

    #[test]
    fn nothing_that_a_client_chooses_leaves_its_quotes() {
        let command = curl(&post("/v1/x';touch /tmp/a\n;'"), "http://h/v1");
        assert!(
            command.starts_with(r"curl 'http://h/v1/x'\'';touch /tmp/a;'\''' -H"),
            "{command}"
        );
    }

    fn with_content(policy: ContentPolicy) -> Exchange {
        let mut exchange = post("/v1/chat/completions");
        exchange.request.model = Some("m".into());
        exchange.content = Some(Box::new(Content {
            policy,
            input: vec![ContentMessage {
                speaker: Speaker::User,
                name: None,
                parts: vec![ContentPart::Text("It's high".into())],
                finish_reason: None,
            }],
            ..Content::default()
        }));
        exchange
    }

    #[test]
    fn shown_content_is_the_body() {
        let policy = ContentPolicy {
            attributes: true,
            ..ContentPolicy::default()
        };
        let command = curl(&with_content(policy), "http://h/v1");
        assert!(command.contains(r#""content":"It'\''s high""#), "{command}");
        assert!(!command.contains(NO_BODY));
    }

    #[test]
    fn content_for_events_or_for_the_store_alone_is_not_shown() {
        let events = ContentPolicy {
            events: true,
            ..ContentPolicy::default()
        };
        let store = ContentPolicy {
            store: true,
            ..ContentPolicy::default()
        };
        for policy in [events, store] {
            let command = curl(&with_content(policy), "http://h/v1");
            assert!(command.ends_with("--data '@request.json'"), "{command}");
        }
    }
}
