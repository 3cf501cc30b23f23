//! Calls that are answered by one JSON body: their fixtures, requests and paths, and what is no call to a model.

use super::super::{
    openai_embeddings::OpenAiEmbeddings, openai_moderations::OpenAiModerations,
    openai_retrieval::OpenAiRetrieval, rerank::Rerank, score::Score, tokenize,
};
use super::*;

#[test]
fn fixtures_of_bodies_read_as_expected() {
    check_fixtures("embeddings", &OpenAiEmbeddings);
    check_fixtures("moderations", &OpenAiModerations);
    check_fixtures("rerank", &Rerank);
    check_fixtures("retrieval", &OpenAiRetrieval);
    check_fixtures("score", &Score);
    check_fixtures("tokenize", &tokenize::TOKENIZE);
}

#[test]
fn each_call_is_known_by_method_and_the_tail_of_its_path() {
    for (path, call, route) in [
        ("/v1/embeddings", Operation::Embeddings, "/v1/embeddings"),
        (
            "/openai/deployments/ada/embeddings",
            Operation::Embeddings,
            "/v1/embeddings",
        ),
        (
            "/gateway//v1/embeddings/",
            Operation::Embeddings,
            "/v1/embeddings",
        ),
        ("/v1/moderations", Operation::Moderation, "/v1/moderations"),
        ("/rerank", Operation::Rerank, "/v1/rerank"),
        ("/v2/rerank", Operation::Rerank, "/v1/rerank"),
        ("/v1/reranking", Operation::Rerank, "/v1/rerank"),
        ("/score", Operation::Score, "/v1/score"),
        ("/tokenize", Operation::Tokenize, "/tokenize"),
        ("/detokenize", Operation::Tokenize, "/detokenize"),
        (
            "/openai/v1/vector_stores/vs_1/search",
            Operation::Retrieval,
            "/v1/vector_stores/{vector_store_id}/search",
        ),
    ] {
        let dialect = for_request("POST", path);
        let known = dialect.map(|dialect| (dialect.operation(), dialect.route()));
        assert_eq!(known, Some((call, route)), "{path}");
        assert!(for_request("GET", path).is_none(), "GET {path}");
    }
    let of_ollama = for_request("POST", "/api/embeddings");
    assert_ne!(
        of_ollama.map(Dialect::operation),
        Some(Operation::Embeddings)
    );
}

#[test]
fn what_is_no_call_to_a_model_is_http_only() {
    for (method, path) in [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/m"),
        ("DELETE", "/v1/models/ft:m"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches/b1"),
        ("POST", "/v1/batches/b1/cancel"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files/f1/content"),
        ("POST", "/v1/uploads/u1/parts"),
        ("POST", "/v1/fine_tuning/jobs"),
        ("GET", "/v1/fine_tuning/jobs/j1/events"),
        ("POST", "/v1/assistants"),
        ("POST", "/v1/threads"),
        ("POST", "/v1/threads/t1/runs"),
        ("POST", "/v1/vector_stores"),
        ("POST", "/v1/vector_stores/vs_1"),
        ("POST", "/v1/vector_stores/vs_1/files"),
        ("GET", "/v1/vector_stores/vs_1/search"),
        ("POST", "/v1/vector_stores/search"),
        ("POST", "/v1/containers"),
        ("GET", "/v1/evals"),
        ("POST", "/v1/embeddings/e1"),
        ("POST", "/tokenizer"),
        ("POST", "/pooling"),
        ("POST", "/v1/load_lora_adapter"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("POST", "/unknown"),
        ("OPTIONS", "/v1/chat/completions"),
    ] {
        assert!(for_request(method, path).is_none(), "{method} {path}");
    }
}

#[test]
fn an_embeddings_request_is_read_whole() {
    let body = r#"{"model":"m","input":["é😀","abc"],"encoding_format":"base64","dimensions":256,"user":"u","unknown":1}"#;
    let expected = Request {
        model: Some("m".into()),
        encoding_format: Some("base64".into()),
        dimensions: Some(256),
        prompt_chars: Some(5),
        ..Request::default()
    };
    let (request, problems) = read_request(&OpenAiEmbeddings, body);
    assert_eq!((request, problems), (expected, Problems::default()));
}

#[test]
fn an_input_may_be_text_texts_parts_messages_or_tokens() {
    let chars = |body: &str| {
        let (request, problems) = read_request(&OpenAiEmbeddings, body);
        assert_eq!(problems, Problems::default(), "{body}");
        request.prompt_chars
    };
    assert_eq!(chars(r#"{"input":"ab"}"#), Some(2));
    assert_eq!(chars(r#"{"input":""}"#), Some(0));
    assert_eq!(chars(r#"{"input":["ab","c"]}"#), Some(3));
    assert_eq!(
        chars(r#"{"input":[{"text":"ab"},{"image":"https://a/b"}]}"#),
        Some(2)
    );
    assert_eq!(
        chars(r#"{"messages":[{"role":"user","content":[{"type":"text","text":"abc"}]}]}"#),
        Some(3)
    );
    for tokens in [
        r#"{"input":[1,2]}"#,
        r#"{"input":[[1],[2]]}"#,
        r#"{"input":null}"#,
        "{}",
    ] {
        assert_eq!(chars(tokens), None, "{tokens}");
    }
}

#[test]
fn other_requests_name_a_model_and_have_a_length() {
    let cases: [(&dyn Dialect, &str, Option<u64>); 9] = [
        (
            &OpenAiModerations,
            r#"{"model":"m","input":[{"type":"text","text":"ab"},{"type":"image_url","image_url":{}}]}"#,
            Some(2),
        ),
        (
            &Rerank,
            r#"{"model":"m","query":"ab","documents":["c",{"text":"de"}],"top_n":1}"#,
            Some(5),
        ),
        (
            &Rerank,
            r#"{"model":"m","query":"ab","texts":["c"]}"#,
            Some(3),
        ),
        (
            &Score,
            r#"{"model":"m","text_1":"ab","text_2":["c","d"]}"#,
            Some(4),
        ),
        (
            &Score,
            r#"{"model":"m","queries":"ab","documents":["c"]}"#,
            Some(3),
        ),
        (
            &tokenize::TOKENIZE,
            r#"{"model":"m","prompt":"abc"}"#,
            Some(3),
        ),
        (
            &tokenize::TOKENIZE,
            r#"{"model":"m","messages":[{"content":"ab"}]}"#,
            Some(2),
        ),
        (
            &tokenize::TOKENIZE,
            r#"{"model":"m","content":"ab"}"#,
            Some(2),
        ),
        (
            &tokenize::DETOKENIZE,
            r#"{"model":"m","tokens":[1,2]}"#,
            None,
        ),
    ];
    for (dialect, body, prompt_chars) in cases {
        let expected = Request {
            model: Some("m".into()),
            prompt_chars,
            ..Request::default()
        };
        let read = read_request(dialect, body);
        assert_eq!(read, (expected, Problems::default()), "{body}");
    }
}

#[test]
fn a_search_has_a_limit_and_no_model() {
    let (request, problems) = read_request(
        &OpenAiRetrieval,
        r#"{"query":["ab","c"],"max_num_results":10,"rewrite_query":true}"#,
    );
    let expected = Request {
        result_limit: Some(10),
        prompt_chars: Some(3),
        ..Request::default()
    };
    assert_eq!((request, problems), (expected, Problems::default()));
}

#[test]
fn vectors_are_passed_over() {
    let vector = "0.123456789,".repeat(100_000);
    let body = format!(
        r#"{{"data":[{{"embedding":[{vector}0]}}],"model":"m","usage":{{"prompt_tokens":4}}}}"#
    );
    let seen = read_body(&OpenAiEmbeddings, 200, body.as_bytes());
    assert_eq!(seen.facts.response.model.as_deref(), Some("m"));
    assert_eq!(seen.facts.usage.input_tokens, Some(4));
    assert_eq!(seen.facts.problems, Problems::default());
}

proptest! {
    #[test]
    fn arbitrary_answers_are_survived(body in prop::collection::vec(any::<u8>(), 0..200), status in 200_u16..600) {
        for dialect in [&OpenAiEmbeddings as &dyn Dialect, &Rerank, &tokenize::TOKENIZE] {
            let (request, _) = read_request(dialect, &body);
            prop_assert!(request.model.is_none());
            let seen = read_body(dialect, status, &body);
            prop_assert!(seen.facts.usage.input_tokens.is_none());
        }
    }
}
