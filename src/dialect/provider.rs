//! What a server says of itself in answers that pass anyway: the name by which telemetry knows its provider.
//!
//! Only what no other server says: llama.cpp's `Server` (tools/server/server-http.cpp), LiteLLM's and Azure OpenAI's own
//! header fields, and fingerprints that begin with the server's name: vLLM 0.20 and later (`vllm-0.23.0-tp2-a536750c`),
//! Ollama (`fp_ollama`). Request ids and ids of answers have the same shapes at many servers, and say nothing.

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
}
