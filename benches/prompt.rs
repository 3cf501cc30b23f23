//! What reading a request body of 1 MB costs: the JSON cursor alone, the byte path's look at the body, and the dialect's.
//!
//! `cargo bench --bench prompt` prints a Markdown table of the time of each, over four kinds of prompt. With `--once` each
//! is done a single time and nothing is printed, for counting instructions. Nothing is asserted.
#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

#[expect(dead_code, reason = "the load bench uses the rest")]
#[path = "support/figure.rs"]
mod figure;

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use streamgauge::dialect::{self, PromptFolds};
use streamgauge::exchange::{Problems, Request};
use streamgauge::parse::json;
use streamgauge::proxy::usage::{Inspected, Wish};

use figure::Samples;

const PROMPT_BYTES: usize = 1_000_000;
const ROUNDS: usize = 9;
const PER_ROUND: u32 = 20;

const PLAIN: &str =
    "Measure the level of the river at the bridge, and say what it was an hour ago. ";
/// A file of source code as it stands in a prompt.
const ESCAPED: &str =
    r#"if level > \"2.41\" {\n\tprintln!(\"C:\\\\gauges\\\\bridge: {level} m\");\n}\n"#;
const NOT_ASCII: &str = "橋のところで川の水位を測り、一時間前の値と比べてください。";

/// A kind of prompt, and a request with it.
struct Prompt {
    name: &'static str,
    body: Bytes,
}

impl Prompt {
    /// One system message and one long one from the user.
    fn long(name: &'static str, text: &str) -> Self {
        Self::new(name, &message(&text.repeat(PROMPT_BYTES / text.len())))
    }

    /// A long conversation.
    fn short_messages() -> Self {
        let message = message(PLAIN);
        let messages = vec![message.as_str(); PROMPT_BYTES / message.len()];
        Self::new("many short messages", &messages.join(","))
    }

    fn new(name: &'static str, messages: &str) -> Self {
        let body = format!(
            r#"{{"messages":[{{"role":"system","content":"You are a careful hydrologist."}},{messages}],"model":"gpt-4o-mini","temperature":0.2,"stream":true}}"#
        );
        Self {
            name,
            body: body.into(),
        }
    }
}

fn message(content: &str) -> String {
    format!(r#"{{"role":"user","content":"{content}"}}"#)
}

/// A way to read a body; says something about it, so that it cannot be left out.
type Reading = fn(&Bytes) -> bool;

const READINGS: [(&str, Reading); 3] = [
    ("`json::parse`", |body| json::parse(body).is_ok()),
    ("byte path", |body| {
        matches!(Inspected::of(body).wish, Wish::Silent(_))
    }),
    ("dialect", |body| {
        let dialect = dialect::for_request("POST", "/v1/chat/completions");
        let mut request = Request::default();
        dialect.is_some_and(|dialect| {
            let mut folds = PromptFolds::default();
            let mut problems = Problems::default();
            dialect.request(body, &mut request, &mut problems, &mut folds);
            folds.length.chars().is_some()
        })
    }),
];

/// Microseconds per body, over several rounds.
fn measure(body: &Bytes, reading: Reading) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for _ in 0..PER_ROUND {
            black_box(reading(black_box(body)));
        }
        samples.push((begin.elapsed() / PER_ROUND).as_secs_f64() * 1e6);
    }
    samples
}

fn main() {
    let prompts = [
        Prompt::long("plain", PLAIN),
        Prompt::long("escapes", ESCAPED),
        Prompt::long("not ASCII", NOT_ASCII),
        Prompt::short_messages(),
    ];
    if std::env::args().any(|argument| argument == "--once") {
        for prompt in &prompts {
            for (_, reading) in READINGS {
                black_box(reading(&prompt.body));
            }
        }
        return;
    }
    let [one, two, three] = READINGS.map(|(name, _)| name);
    println!("| 1 MB, µs | {one} | {two} | {three} |\n|---|---:|---:|---:|");
    for prompt in &prompts {
        let cells = READINGS.map(|(_, reading)| measure(&prompt.body, reading).cell());
        println!("| {} | {} |", prompt.name, cells.join(" | "));
    }
}
