//! Text out of speech: `POST …/audio/transcriptions`, and `…/audio/translations` into English.
//!
//! Answered with JSON, with plain text or subtitles, or with events. Governing text: the OpenAI API reference, "Audio";
//! vLLM streams the chunks of a chat answer instead. Of the sound nothing is kept. Knows nothing of other dialects.

use std::time::Duration;

use crate::dialect::contract::{Dialect, Facts, Output, Reader};
use crate::dialect::kit::choice::Choices;
use crate::dialect::kit::chunks::read_identity;
use crate::dialect::kit::member::{array, object, typed};
use crate::dialect::kit::parameters::Parameters;
use crate::dialect::kit::typed::{Typed, TypedReader};
use crate::dialect::kit::unknown::Known;
use crate::dialect::kit::{path, usage};
use crate::dialect::part::{Part, Visitor};
use crate::exchange::{Operation, OutputType, Problems, Request};
use crate::parse::json::Value;
use crate::parse::multipart::Form;

/// The dialect of one of the two calls.
pub(super) struct AudioTranscription {
    operation: Operation,
    tail: [&'static str; 2],
    route: &'static str,
}

/// In the language that was spoken.
pub(super) static TRANSCRIPTIONS: AudioTranscription = AudioTranscription {
    operation: Operation::Transcription,
    tail: ["audio", "transcriptions"],
    route: "/v1/audio/transcriptions",
};
/// In English.
pub(super) static TRANSLATIONS: AudioTranscription = AudioTranscription {
    operation: Operation::Translation,
    tail: ["audio", "translations"],
    route: "/v1/audio/translations",
};

impl Dialect for AudioTranscription {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn route(&self) -> &'static str {
        self.route
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &self.tail)
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        prompt: &mut dyn Visitor,
    ) {
        Parameters::read_body(body, problems, |parameters, problems| {
            read_request(parameters, request, problems, prompt);
        });
    }

    fn form_fields(&self) -> &'static [&'static str] {
        &[
            "model",
            "stream",
            "response_format",
            "prompt",
            "temperature",
            "seed",
        ]
    }

    fn form(
        &self,
        form: &Form,
        request: &mut Request,
        problems: &mut Problems,
        prompt: &mut dyn Visitor,
    ) {
        read_request(Parameters::Fields(form), request, problems, prompt);
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<TypedReader<Transcript>>::default()
    }
}

fn read_request(
    parameters: Parameters<'_>,
    request: &mut Request,
    problems: &mut Problems,
    prompt: &mut dyn Visitor,
) {
    request.model = parameters.text("model", problems);
    request.stream = parameters.flag("stream", problems);
    parameters.show("prompt", problems, prompt);
    request.temperature = parameters.float("temperature", problems);
    // As vLLM has it.
    request.seed = parameters.integer("seed", problems);
    let format = parameters.text("response_format", problems);
    request.output_type = match format.as_deref() {
        Some("json" | "verbose_json" | "diarized_json") => Some(OutputType::Json),
        Some("text" | "srt" | "vtt") => Some(OutputType::Text),
        _ => None,
    };
}

/// The event of a whole segment of the transcript, which may have come in deltas before.
const SEGMENT: &str = "transcript.text.segment";

/// The transcript, as far as it has come.
#[derive(Debug, Default)]
struct Transcript {
    choices: Choices,
    /// Text came in deltas, which the later events repeat.
    in_deltas: bool,
    /// Text came in whole segments, which the last event repeats.
    in_segments: bool,
}

impl Typed for Transcript {
    const EVENTS: &'static [Known] = &[
        ("transcript.text.delta", None),
        ("transcript.text.done", None),
        (SEGMENT, None),
    ];

    const HAS_NAMES: bool = false;

    fn typed(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        // The id of a segment is its own.
        if kind != SEGMENT {
            read_envelope(event, facts);
        }
        match kind {
            "transcript.text.delta" => {
                self.in_deltas = true;
                read_text(event.get("delta"), facts)
            }
            SEGMENT if self.in_deltas => Output::default(),
            SEGMENT => {
                self.in_segments = true;
                read_text(event.get("text"), facts)
            }
            "transcript.text.done" => {
                facts.response.done = true;
                if self.in_deltas || self.in_segments {
                    Output::default()
                } else {
                    read_text(event.get("text"), facts)
                }
            }
            _ => match typed(event.get("choices"), &mut facts.problems, array) {
                Some(choices) => self.choices.read(choices, facts),
                None => Output::default(),
            },
        }
    }

    fn whole(&mut self, answer: Value<'_>, facts: &mut Facts) -> Output {
        read_envelope(answer, facts);
        read_text(answer.get("text"), facts)
    }

    /// What stands between the lines of subtitles is no text of the answer's, so their length is left unknown.
    fn plain(&mut self, text: &str, facts: &mut Facts) -> Output {
        let is_subtitles = text.starts_with("WEBVTT") || text.lines().take(2).any(is_cue);
        if !is_subtitles {
            facts.say(0, Part::Text, text);
        }
        Output {
            content: true,
            ..Output::default()
        }
    }
}

/// Whether a line says from when to when a subtitle is shown.
fn is_cue(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_digit()) && line.contains(" --> ")
}

fn read_envelope(object: Value<'_>, facts: &mut Facts) {
    let [id, model, logprobs, reported] = object.select(["id", "model", "logprobs", "usage"]);
    read_identity([id, model, None, None], facts);
    let mut logprobs = logprobs.into_iter().flat_map(Value::elements);
    facts.response.logprobs |= logprobs.next().is_some();
    read_usage(reported, facts);
}

/// Usage is counted in tokens, or in seconds of sound.
fn read_usage(reported: Option<Value<'_>>, facts: &mut Facts) {
    usage::merge(reported, facts);
    let problems = &mut facts.problems;
    let Some(reported) = typed(reported, &mut Problems::default(), object) else {
        return;
    };
    let length = |value: Value<'_>| Duration::try_from_secs_f64(value.as_f64()?).ok();
    if let Some(length) = typed(reported.get("seconds"), problems, length) {
        facts.usage.audio_input_duration = Some(length);
    }
}

fn read_text(member: Option<Value<'_>>, facts: &mut Facts) -> Output {
    let text = typed(member, &mut facts.problems, Value::as_text);
    Output {
        content: text.is_some_and(|text| facts.say(0, Part::Text, text)),
        ..Output::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tests::read_form;

    fn read(fields: &[(&'static str, &str)]) -> (Request, Problems) {
        read_form(&TRANSCRIPTIONS, fields)
    }

    #[test]
    fn a_form_is_read_whole() {
        let (request, problems) = read(&[
            ("model", "whisper-1"),
            ("stream", "True"),
            ("response_format", "verbose_json"),
            ("prompt", "né"),
            ("temperature", "0.2"),
            ("seed", "7"),
        ]);
        let expected = Request {
            model: Some("whisper-1".into()),
            stream: Some(true),
            output_type: Some(OutputType::Json),
            prompt_chars: Some(2),
            temperature: Some(0.2),
            seed: Some(7),
            ..Request::default()
        };
        assert_eq!((request, problems), (expected, Problems::default()));
    }

    #[test]
    fn the_output_type_is_known_only_where_a_format_is_asked_for() {
        let asked = |format| read(&[("response_format", format)]).0.output_type;
        assert_eq!(asked("srt"), Some(OutputType::Text));
        assert_eq!(asked("diarized_json"), Some(OutputType::Json));
        assert_eq!(asked("xml"), None);
        assert_eq!(read(&[]).0, Request::default());
    }

    #[test]
    fn every_field_that_is_read_is_one_that_is_kept() {
        for field in TRANSCRIPTIONS.form_fields() {
            let (request, problems) = read(&[(field, "text")]);
            let is_read = request != Request::default() || problems.mistyped == 1;
            assert!(is_read || *field == "response_format", "{field}");
        }
    }

    #[test]
    fn what_a_transcript_says_of_arrows_is_text() {
        let mut facts = Facts::default();
        Transcript::default().plain("2 --> 3, he said", &mut facts);
        assert_eq!(
            facts.response.content_chars, None,
            "so much looks like a cue"
        );
        Transcript::default().plain("from 2 --> 3", &mut facts);
        assert_eq!(facts.response.content_chars, Some(12));
    }
}
