//! What a server says of itself in answers that pass anyway: the name by which telemetry knows its provider.
//!
//! Only what no other server says: llama.cpp's `Server` (tools/server/server-http.cpp), LiteLLM's and Azure OpenAI's own
//! header fields, and fingerprints that begin with the server's name: vLLM 0.20 and later (`vllm-0.23.0-tp2-a536750c`),
//! Ollama (`fp_ollama`). An older vLLM is known by its list of models (`owned_by`), by the names of its metrics, and by members
//! of whole answers that are there also where they say nothing (vllm/entrypoints/openai/protocol.py; TensorRT-LLM has taken over
//! `stop_reason` from it, and not `prompt_logprobs`). Its streams, its `/version` and its `Server` have what others have too.
//! Request ids and ids of answers have the same shapes at many servers, and say nothing.

use crate::parse::json::{self, Value};

/// Of the header fields of an answer, by whatever finds the first of a name.
#[must_use]
pub fn of_head<'f>(field: impl Fn(&str) -> Option<&'f str>) -> Option<&'static str> {
    if field("server").is_some_and(|server| server.starts_with("llama.cpp")) {
        return Some("llama_cpp");
    }
    if field("x-litellm-version").is_some() || field("x-litellm-call-id").is_some() {
        return Some("litellm");
    }
    field("azureml-model-session").map(|_| "azure.ai.openai")
}

/// Of `system_fingerprint`.
#[must_use]
pub fn of_fingerprint(fingerprint: &str) -> Option<&'static str> {
    match fingerprint {
        "fp_ollama" => Some("ollama"),
        _ if fingerprint.starts_with("vllm-") => Some("vllm"),
        _ => None,
    }
}

/// Of a whole chat or text completion, beside its choices, or of the first of these.
pub(super) fn of_answer<'a>(
    answer: Value<'_>,
    choices: impl IntoIterator<Item = Value<'a>>,
) -> Option<&'static str> {
    const PROMPT_LOGPROBS: &str = "prompt_logprobs";
    let choice = choices.into_iter().next()?;
    let [stop_reason, in_choice] = choice.select(["stop_reason", PROMPT_LOGPROBS]);
    stop_reason?;
    let logprobs = in_choice.or_else(|| answer.get(PROMPT_LOGPROBS));
    logprobs.map(|_| "vllm")
}

/// What is no call to a model, and says whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// A list of models.
    Models,
    /// The metrics of a server, for Prometheus.
    Metrics,
    /// What is at the root.
    Root,
}

impl Page {
    /// The one that a request asks for. `path` is without query.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Option<Self> {
        if method != "GET" {
            return None;
        }
        match path {
            "/" => Some(Self::Root),
            "/metrics" => Some(Self::Metrics),
            _ => path.ends_with("/models").then_some(Self::Models),
        }
    }

    /// Whose server a good answer says that it is. Of metrics its beginning will do.
    #[must_use]
    pub fn provider(self, body: &[u8]) -> Option<&'static str> {
        match self {
            Self::Models => of_models(body),
            Self::Metrics => {
                let mut lines = body.split(|byte| *byte == b'\n');
                let own = lines.any(|line| line.starts_with(b"# TYPE vllm:"));
                own.then_some("vllm")
            }
            Self::Root => (body.trim_ascii() == b"Ollama is running").then_some("ollama"),
        }
    }
}

/// Who owns the models, where it is one server that says so of all of them: a gateway has those of several.
fn of_models(body: &[u8]) -> Option<&'static str> {
    let models = json::parse(body.trim_ascii()).ok()?.get("data")?;
    let mut owners = models
        .elements()
        .map(|model| model.get("owned_by").and_then(Value::as_text));
    let owner = owners.next()??;
    let owner = owner.decode();
    let known = ["vllm", "sglang"]
        .into_iter()
        .find(|known| owner == *known)?;
    let all = owners.all(|other| other.is_some_and(|other| other.is(known)));
    all.then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_whose_it_is_where_only_one_server_sends_the_like() {
        for (name, value, expected) in [
            ("server", "llama.cpp", Some("llama_cpp")),
            ("server", "uvicorn", None),
            ("server", "my llama.cpp", None),
            ("x-litellm-version", "1.93.0", Some("litellm")),
            ("x-litellm-call-id", "a", Some("litellm")),
            (
                "azureml-model-session",
                "d089-2024",
                Some("azure.ai.openai"),
            ),
            ("apim-request-id", "a", None),
            ("openai-version", "2020-10-01", None),
        ] {
            let told = of_head(|wanted| (wanted == name).then_some(value));
            assert_eq!(told, expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_fingerprint_says_whose_it_is_where_it_begins_with_a_name() {
        for (fingerprint, expected) in [
            ("vllm-0.23.0-tp2-a536750c", Some("vllm")),
            ("vllm-0.24.0", Some("vllm")),
            ("fp_ollama", Some("ollama")),
            ("fp_44709d6fcb", None),
            ("b4567-1a2b3c", None),
            ("", None),
        ] {
            assert_eq!(of_fingerprint(fingerprint), expected, "{fingerprint}");
        }
    }

    #[test]
    fn a_whole_answer_says_whose_it_is_by_what_vllm_alone_puts_there() {
        for (answer, expected) in [
            // vLLM 0.8.3, chat.
            (
                r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":null,"content":"a","tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":1},"prompt_logprobs":null}"#,
                Some("vllm"),
            ),
            // vLLM 0.8.4, text.
            (
                r#"{"id":"cmpl-1","object":"text_completion","choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":"stop","stop_reason":null,"prompt_logprobs":null}]}"#,
                Some("vllm"),
            ),
            // TensorRT-LLM 1.0.
            (
                r#"{"id":"chatcmpl-1","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop","stop_reason":null,"disaggregated_params":null}],"prompt_token_ids":null}"#,
                None,
            ),
            (
                r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}],"prompt_logprobs":null}"#,
                None,
            ),
            (r#"{"choices":[],"prompt_logprobs":null}"#, None),
        ] {
            let answer = json::parse(answer.as_bytes()).unwrap();
            let choices = answer.get("choices").unwrap().elements();
            assert_eq!(of_answer(answer, choices), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_list_of_models_says_whose_it_is_where_all_are_of_one_server() {
        let list = |owners: &[&str]| {
            let models = owners
                .iter()
                .map(|owner| format!(r#"{{"id":"m","owned_by":{owner}}}"#));
            let models = models.collect::<Vec<_>>().join(",");
            format!(r#"{{"object":"list","data":[{models}]}}"#)
        };
        for (owners, expected) in [
            (&[r#""vllm""#][..], Some("vllm")),
            (&[r#""vllm""#, r#""vllm""#], Some("vllm")),
            (&[r#""sglang""#], Some("sglang")),
            (&[r#""vllm""#, r#""openai""#], None),
            (&[r#""vllm""#, "null"], None),
            (&[r#""library""#], None),
            (&["7"], None),
            (&[], None),
        ] {
            let body = list(owners);
            assert_eq!(Page::Models.provider(body.as_bytes()), expected, "{body}");
        }
        for body in ["", "[]", "no JSON", r#"{"data":{}}"#] {
            assert_eq!(Page::Models.provider(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn metrics_and_the_root_say_whose_they_are() {
        let metrics = b"# HELP python_info P.\n# TYPE python_info gauge\n# TYPE vllm:num_requests_running gauge\n";
        assert_eq!(Page::Metrics.provider(metrics), Some("vllm"));
        let routed = b"# HELP a TYPE vllm:\n# TYPE router_vllm:up gauge\n";
        assert_eq!(Page::Metrics.provider(routed), None);
        assert_eq!(Page::Root.provider(b"Ollama is running"), Some("ollama"));
        assert_eq!(Page::Root.provider(b"<html>Ollama is running"), None);
    }

    #[test]
    fn a_page_is_known_by_its_method_and_its_path() {
        for (method, path, expected) in [
            ("GET", "/v1/models", Some(Page::Models)),
            ("GET", "/openai/models", Some(Page::Models)),
            ("POST", "/v1/models", None),
            ("GET", "/v1/models/m", None),
            ("GET", "/metrics", Some(Page::Metrics)),
            ("GET", "/", Some(Page::Root)),
            ("GET", "/version", None),
        ] {
            assert_eq!(Page::of(method, path), expected, "{method} {path}");
        }
    }
}
