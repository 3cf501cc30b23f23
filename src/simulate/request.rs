//! Reads a request into what an answer depends on, and turns away what OpenAI would turn away.

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};

/// An error answer in OpenAI's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<&'static str>,
    pub(super) message: String,
}

impl ApiError {
    /// A request that makes no sense, on account of one parameter or as a whole.
    pub(super) fn invalid(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            param,
            message: message.into(),
        }
    }

    fn with_code(self, code: &'static str) -> Self {
        let code = Some(code);
        Self { code, ..self }
    }

    /// A model that does not exist.
    pub(super) fn unknown_model(name: &str) -> Self {
        let message = format!("The model `{name}` does not exist or you do not have access to it.");
        let error = Self::invalid(None, message).with_code("model_not_found");
        Self {
            status: 404,
            ..error
        }
    }
}

/// Which API was asked for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompletionApi {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
    /// `/v1/responses`.
    Responses,
}

/// A function the model may call, with arguments that fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) arguments: String,
}

/// What the knobs of one request say; see the module's table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Knobs {
    pub(super) chunks: Option<usize>,
    pub(super) think: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) seed: Option<u64>,
}

/// A completion request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CompletionRequest {
    pub(super) api: CompletionApi,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) stream_options: bool,
    pub(super) include_usage: bool,
    pub(super) choices: usize,
    pub(super) max_tokens: Option<usize>,
    pub(super) input_tokens: usize,
    /// What may be called; empty where calls are not wanted.
    pub(super) tools: Vec<Tool>,
    /// Whether the conversation goes on from a tool's result, so that an answer is due.
    pub(super) after_tool: bool,
    pub(super) knobs: Knobs,
}

/// Longest answer, in tokens over all choices: a bound for what one request can make the simulation hold.
const MAX_TOKENS: usize = 100_000;
/// Longest time a knob can ask for.
const MAX_TIME_MS: u64 = 3_600_000;
/// OpenAI's own limit for `n`.
const MAX_CHOICES: u64 = 128;

/// Reads a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(ApiError::invalid(
            None,
            "The JSON body of your request is not an object.",
        )),
        Err(error) => {
            let message = format!("We could not parse the JSON body of your request: {error}.");
            Err(ApiError::invalid(None, message))
        }
    }
}

/// The `model` of a request.
pub(super) fn model(members: &Map<String, Value>) -> Result<&str, ApiError> {
    members
        .get("model")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ApiError::invalid(None, "you must provide a model parameter"))
}

impl CompletionRequest {
    /// What a stored response was asked for.
    pub(super) fn stored() -> Self {
        Self {
            api: CompletionApi::Responses,
            model: "sim-chat".to_owned(),
            stream: false,
            stream_options: false,
            include_usage: false,
            choices: 1,
            max_tokens: None,
            input_tokens: 12,
            tools: Vec::new(),
            after_tool: false,
            knobs: Knobs::default(),
        }
    }

    /// Reads a completion request.
    pub(super) fn read(
        api: CompletionApi,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, ApiError> {
        let members = object(body)?;
        let flag = |name| members.get(name).and_then(Value::as_bool).unwrap_or(false);
        let options = members
            .get("stream_options")
            .filter(|options| !options.is_null());
        let choices = choices(&members)?;
        let stream = flag("stream");
        if options.is_some() && !stream {
            let message =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(ApiError::invalid(Some("stream_options"), message));
        }
        Ok(Self {
            api,
            model: model(&members)?.to_owned(),
            stream,
            stream_options: options.is_some(),
            include_usage: options.is_some_and(|options| options["include_usage"] == true),
            choices,
            max_tokens: ["max_completion_tokens", "max_tokens", "max_output_tokens"]
                .iter()
                .find_map(|name| members.get(*name)?.as_u64())
                .and_then(|limit| usize::try_from(limit).ok()),
            input_tokens: input_tokens(api, &members)?,
            tools: tools(&members),
            after_tool: after_tool(&members),
            knobs: Knobs::read(headers, &members, choices),
        })
    }
}

impl Knobs {
    /// Reads them from the headers, and from the body's members.
    pub(super) fn read(headers: &HeaderMap, members: &Map<String, Value>, choices: usize) -> Self {
        let metadata = members.get("metadata");
        let number = |name: &str| -> Option<u64> {
            let header = headers
                .get(name)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            header.or_else(|| match metadata?.get(name)? {
                Value::String(text) => text.parse().ok(),
                other => other.as_u64(),
            })
        };
        let most = (MAX_TOKENS / choices) as u64;
        let time = |ms: u64| Duration::from_millis(ms.min(MAX_TIME_MS));
        Self {
            chunks: number("x-sim-chunks").map(|count| count.min(most) as usize),
            think: number("x-sim-think-ms").map(time),
            interval: number("x-sim-interval-ms").map(time),
            stall: number("x-sim-stall-ms").map(time),
            seed: number("x-sim-seed").or_else(|| members.get("seed")?.as_u64()),
        }
    }
}

fn choices(members: &Map<String, Value>) -> Result<usize, ApiError> {
    match members.get("n").filter(|count| !count.is_null()) {
        None => Ok(1),
        Some(count) => count
            .as_u64()
            .filter(|count| (1..=MAX_CHOICES).contains(count))
            .map(|count| count as usize)
            .ok_or_else(|| {
                ApiError::invalid(
                    Some("n"),
                    format!("'n' is {count}; it must be from 1 to {MAX_CHOICES}."),
                )
            }),
    }
}

/// Words of the prompt; in a chat three more for each message and for the answer, as OpenAI's template adds.
fn input_tokens(api: CompletionApi, members: &Map<String, Value>) -> Result<usize, ApiError> {
    let missing = |name: &'static str| {
        ApiError::invalid(Some(name), format!("Missing required parameter: '{name}'."))
            .with_code("missing_required_parameter")
    };
    match api {
        CompletionApi::Text => members
            .get("prompt")
            .map(words)
            .ok_or_else(|| missing("prompt")),
        CompletionApi::Chat => {
            let messages = members.get("messages").and_then(Value::as_array);
            let messages = messages.ok_or_else(|| missing("messages"))?;
            let content: usize = messages
                .iter()
                .map(|message| words(&message["content"]))
                .sum();
            Ok(content + 3 * messages.len() + 3)
        }
        CompletionApi::Responses => {
            let input = members.get("input").ok_or_else(|| missing("input"))?;
            let items = input.as_array().into_iter().flatten();
            let items: usize = items
                .map(|item| words(&item["content"]) + words(&item["output"]) + 3)
                .sum();
            let text = input.as_str().map_or(0, |_| words(input));
            Ok(items + text + members.get("instructions").map_or(0, words) + 3)
        }
    }
}

/// Words in every string of a value, keys aside.
pub(super) fn words(value: &Value) -> usize {
    match value {
        Value::String(text) => text.split_whitespace().count(),
        Value::Array(items) => items.iter().map(words).sum(),
        Value::Object(members) => members.get("text").map_or(0, words),
        _ => 0,
    }
}

fn after_tool(members: &Map<String, Value>) -> bool {
    let conversation = members.get("messages").or_else(|| members.get("input"));
    let last = conversation.and_then(|items| items.as_array()?.last());
    last.is_some_and(|item| item["role"] == "tool" || item["type"] == "function_call_output")
}

fn tools(members: &Map<String, Value>) -> Vec<Tool> {
    let offered = members.get("tools").and_then(Value::as_array);
    if members
        .get("tool_choice")
        .is_some_and(|choice| choice == "none")
    {
        return Vec::new();
    }
    offered
        .into_iter()
        .flatten()
        .filter_map(|tool| {
            // The Responses API has no object of its own for the function.
            let function = tool.get("function").unwrap_or(tool);
            let properties = &function["parameters"]["properties"];
            Some(Tool {
                name: function.get("name")?.as_str()?.to_owned(),
                arguments: Value::Object(arguments(properties)).to_string(),
            })
        })
        .collect()
}

/// A value for each property of a JSON schema, by its type.
fn arguments(properties: &Value) -> Map<String, Value> {
    let properties = properties.as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let value = match schema["type"].as_str() {
                _ if schema["enum"].is_array() => schema["enum"][0].clone(),
                Some("integer" | "number") => Value::from(12),
                Some("boolean") => Value::from(true),
                Some("array") => Value::Array(Vec::new()),
                Some("object") => Value::Object(Map::new()),
                _ => Value::from("Grenoble, Isère"),
            };
            (name.clone(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<CompletionRequest, ApiError> {
        CompletionRequest::read(CompletionApi::Chat, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn usage_is_asked_for_only_by_true() {
        let ask = |options: &str| {
            read(&format!(
                r#"{{"model":"m","messages":[],"stream":true,"stream_options":{options}}}"#
            ))
            .unwrap()
        };
        assert!(ask(r#"{"include_usage":true}"#).include_usage);
        assert!(!ask(r#"{"include_usage":false}"#).include_usage);
        assert!(!ask("null").stream_options);
        assert!(ask("{}").stream_options);
    }

    #[test]
    fn stream_options_without_stream_are_turned_away() {
        let error = read(r#"{"model":"m","messages":[],"stream_options":{}}"#).unwrap_err();
        assert_eq!((error.status, error.param), (400, Some("stream_options")));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            read(r#"{"model":"m"}"#).unwrap_err().param,
            Some("messages")
        );
        assert!(
            read(r#"{"messages":[]}"#)
                .unwrap_err()
                .message
                .contains("model")
        );
        assert_eq!(
            read(r#"{"model":"m","messages":[],"n":0}"#)
                .unwrap_err()
                .param,
            Some("n")
        );
        assert_eq!(read("[]").unwrap_err().status, 400);
        assert_eq!(read("{").unwrap_err().status, 400);
    }

    #[test]
    fn input_tokens_are_words_and_three_a_message() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"how high is it"},
            {"role":"user","content":[{"type":"text","text":"two words"}]}]}"#;
        assert_eq!(read(body).unwrap().input_tokens, 4 + 2 + 2 * 3 + 3);
    }

    #[test]
    fn a_header_goes_before_metadata() {
        let body = br#"{"model":"m","messages":[],"seed":9,"metadata":{"x-sim-chunks":"5","x-sim-think-ms":7}}"#;
        let mut headers = HeaderMap::new();
        headers.insert("x-sim-chunks", "20".parse().unwrap());
        let knobs = CompletionRequest::read(CompletionApi::Chat, &headers, body)
            .unwrap()
            .knobs;
        assert_eq!(knobs.chunks, Some(20));
        assert_eq!(knobs.think, Some(Duration::from_millis(7)));
        assert_eq!(knobs.seed, Some(9));
    }

    #[test]
    fn knobs_are_bounded() {
        let most = u64::MAX;
        let body = format!(
            r#"{{"model":"m","messages":[],"n":100,"metadata":{{"x-sim-chunks":{most},
            "x-sim-interval-ms":{most}}}}}"#
        );
        let knobs = read(&body).unwrap().knobs;
        assert_eq!(knobs.chunks, Some(MAX_TOKENS / 100));
        assert_eq!(knobs.interval, Some(Duration::from_secs(3600)));
    }

    #[test]
    fn arguments_fit_the_schema() {
        let body = r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":
            {"properties":{"place":{"type":"string"},"days":{"type":"integer"},"unit":{"enum":["C","F"]}}}}}]}"#;
        let tools = read(body).unwrap().tools;
        assert_eq!(tools[0].name, "f");
        let arguments: Value = serde_json::from_str(&tools[0].arguments).unwrap();
        assert!(arguments["place"].is_string() && arguments["days"].is_u64());
        assert_eq!(arguments["unit"], "C");
    }

    #[test]
    fn tool_choice_none_offers_nothing() {
        let body = r#"{"model":"m","messages":[],"tool_choice":"none","tools":[{"function":{"name":"f"}}]}"#;
        assert!(read(body).unwrap().tools.is_empty());
    }
}
