//! Ollama's own API: its fixtures, requests and paths.

use super::*;
use crate::dialect::ollama;

#[test]
fn ollama_fixtures_read_as_expected() {
    check_fixtures("ollama-chat", &ollama::CHAT);
    check_fixtures("ollama-generate", &ollama::GENERATE);
    check_fixtures("ollama-embed", &ollama::EMBED);
}

#[test]
fn ollamas_own_paths_are_told_from_openais_under_the_same_prefix() {
    for (path, call) in [
        ("/api/chat", Some(Operation::OllamaChat)),
        ("/ollama/api/chat/", Some(Operation::OllamaChat)),
        ("/api/generate", Some(Operation::OllamaGenerate)),
        ("/api/embed", Some(Operation::OllamaEmbed)),
        ("/api/embeddings", Some(Operation::OllamaEmbed)),
        ("/api/chat/completions", Some(Operation::ChatCompletions)),
        ("/api/v1/chat/completions", Some(Operation::ChatCompletions)),
        ("/api/v1/chat", None),
        ("/api/tags", None),
        ("/generate", None),
    ] {
        let known = for_request("POST", path).map(Dialect::operation);
        assert_eq!(known, call, "{path}");
    }
}

#[test]
fn an_ollama_request_is_read_whole() {
    let body = r#"{"model":"m","prompt":"ab","system":"é","format":{"type":"object"},"think":true,"images":["AA"],
        "options":{"temperature":0,"top_p":0.5,"top_k":40,"seed":7,"num_predict":-1,"frequency_penalty":0.25,
        "presence_penalty":1,"stop":"END","num_ctx":4096},"keep_alive":"5m"}"#;
    let (request, problems) = read_request(&ollama::GENERATE, body);
    let expected = Request {
        model: Some("m".into()),
        stream: Some(true),
        temperature: Some(0.0),
        top_p: Some(0.5),
        top_k: Some(40),
        seed: Some(7),
        frequency_penalty: Some(0.25),
        presence_penalty: Some(1.0),
        stop_sequences: Some(vec!["END".into()]),
        output_type: Some(OutputType::Json),
        prompt_chars: Some(3),
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert_eq!(problems, Problems::default());
}

#[test]
fn ollama_streams_unless_it_is_told_not_to() {
    let stream = |body| read_request(&ollama::CHAT, body).0.stream;
    assert_eq!(stream(r#"{"stream":null}"#), Some(true));
    assert_eq!(stream(r#"{"stream":false}"#), Some(false));
    let embed = r#"{"model":"m","input":["ab","c"]}"#;
    let (request, _) = read_request(&ollama::EMBED, embed);
    assert_eq!((request.stream, request.prompt_chars), (None, Some(3)));
}
