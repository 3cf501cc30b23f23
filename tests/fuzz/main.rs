//! Fuzzing on stable Rust: mutated fixtures against every parser, with what must hold for each.
//!
//! `cargo test` runs the fixtures and every input that was ever found, `tests/fixtures/fuzz/<target>/`. The mutations are
//! ignored tests, each for `FUZZ_SECONDS` (default 10); `FUZZ_SEED` repeats a run:
//!
//! ```text
//! scripts/test fuzz
//! FUZZ_SECONDS=600 cargo test --test fuzz -- --ignored --nocapture mutated::chat
//! ```
//!
//! What must hold: nothing panics, whatever was cut where comes to the same, bytes that pass are the bytes that came, and
//! what is kept of them is bounded.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a long one says where it is"
)]

mod corpus;
mod mutate;
mod run;
mod targets;

use run::Target;
use targets::{decode, explain, http1, json, observe, query, session, splice, sse, websocket};

/// One test that replays, and one that mutates, for each target.
macro_rules! targets {
    ($($name:ident: $check:expr, $seeds:expr;)*) => {
        mod replayed {
            use super::*;
            $(#[test] fn $name() { run::replay(&Target::new(stringify!($name), &$check, $seeds)); })*
        }
        mod mutated {
            use super::*;
            $(#[test] #[ignore = "takes FUZZ_SECONDS"]
            fn $name() { run::mutate(&Target::new(stringify!($name), &$check, $seeds)); })*
        }
    };
}

targets! {
    sse: sse::check, corpus::everything();
    json: json::check, corpus::everything();
    usage_request: splice::request, corpus::everything();
    usage_stream: splice::stream, corpus::everything();
    usage_refusal: splice::refusal, corpus::everything();
    http1_request: http1::request, corpus::requests();
    http1_response: http1::response, corpus::responses();
    gzip: decode::check("gzip"), corpus::gzip();
    deflate: decode::check("deflate"), corpus::deflate();
    br: decode::check("br"), corpus::everything();
    zstd: decode::check("zstd"), corpus::zstd();
    stacked: decode::check("gzip, zstd"), corpus::stacked();
    explain: explain::check, corpus::captures();
    query: query::check, corpus::queries();
    websocket: websocket::check, corpus::frames();
    realtime: session::check("/v1/realtime"), corpus::sessions();
    responses_session: session::check("/v1/responses"), corpus::sessions();
    chat: observe::check("POST", "/v1/chat/completions"), corpus::everything();
    completions: observe::check("POST", "/v1/completions"), corpus::everything();
    responses: observe::check("POST", "/v1/responses"), corpus::everything();
    fetched_response: observe::check("GET", "/v1/responses/r1"), corpus::everything();
    messages: observe::check("POST", "/v1/messages"), corpus::everything();
    embeddings: observe::check("POST", "/v1/embeddings"), corpus::everything();
    images: observe::check("POST", "/v1/images/generations"), corpus::everything();
    image_edits: observe::check("POST", "/v1/images/edits"), corpus::forms();
    speech: observe::check("POST", "/v1/audio/speech"), corpus::everything();
    transcriptions: observe::check("POST", "/v1/audio/transcriptions"), corpus::forms();
    moderations: observe::check("POST", "/v1/moderations"), corpus::everything();
    rerank: observe::check("POST", "/v1/rerank"), corpus::everything();
    score: observe::check("POST", "/v1/score"), corpus::everything();
    tokenize: observe::check("POST", "/tokenize"), corpus::everything();
    retrieval: observe::check("POST", "/v1/vector_stores/v1/search"), corpus::everything();
    ollama_chat: observe::check("POST", "/api/chat"), corpus::everything();
    ollama_generate: observe::check("POST", "/api/generate"), corpus::everything();
    ollama_embed: observe::check("POST", "/api/embed"), corpus::everything();
}
