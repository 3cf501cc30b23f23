//! Speech out of text: `POST …/audio/speech`.
//!
//! Answered with sound as it is generated, or by events where `stream_format` asks for them. Governing text: the OpenAI
//! API reference, "Audio", "Create speech". Knows nothing of other dialects.

use super::openai::usage;
use super::parameters::Parameters;
use super::typed::{Typed, TypedReader};
use super::unknown::Known;
use super::{Dialect, Facts, Framing, Output, Reader, path};
use crate::exchange::{Call, OutputType, Problems, Request};
use crate::json::Value;

/// The dialect.
pub(super) struct AudioSpeech;

impl Dialect for AudioSpeech {
    fn call(&self) -> Call {
        Call::Speech
    }

    fn route(&self) -> &'static str {
        "/v1/audio/speech"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["audio", "speech"])
    }

    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems) {
        Parameters::read_body(body, problems, |parameters, problems| {
            request.model = parameters.text("model", problems);
            request.prompt_chars = parameters.length("input", problems);
            let format = parameters.text("stream_format", problems);
            let by_events = (format.as_deref() == Some("sse")).then_some(true);
            request.stream = parameters.flag("stream", problems).or(by_events);
            request.output_type = Some(OutputType::Speech);
        });
    }

    fn framing(&self) -> Framing {
        Framing::Raw
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(TypedReader(Answer))
    }
}

/// Reads one response of events.
#[derive(Debug)]
struct Answer;

impl Typed for Answer {
    const EVENTS: &'static [Known] = &[("speech.audio.delta", None), ("speech.audio.done", None)];

    const HAS_NAMES: bool = false;

    fn typed(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        let [reported, audio] = event.select(["usage", "audio"]);
        usage::merge(reported, &mut facts.usage, &mut facts.problems);
        facts.response.done |= kind == "speech.audio.done";
        let sound = audio.and_then(Value::as_text);
        Output {
            audio: sound.is_some_and(|sound| !sound.is_empty()),
            ..Output::default()
        }
    }

    /// No server is known that answers so with anything but an error.
    fn whole(&mut self, answer: Value<'_>, facts: &mut Facts) -> Output {
        self.typed("", answer, facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Request {
        let (mut request, mut problems) = (Request::default(), Problems::default());
        AudioSpeech.request(body.as_bytes(), &mut request, &mut problems);
        assert_eq!(problems, Problems::default());
        request
    }

    #[test]
    fn a_request_says_what_is_to_be_spoken_and_how() {
        let body =
            r#"{"model":"tts-1","voice":"alloy","input":"h\u00e9 水","response_format":"pcm"}"#;
        let expected = Request {
            model: Some("tts-1".into()),
            prompt_chars: Some(4),
            output_type: Some(OutputType::Speech),
            ..Request::default()
        };
        assert_eq!(read(body), expected);
    }

    #[test]
    fn events_are_asked_for_by_their_format_or_by_the_flag_of_other_servers() {
        let stream = |body| read(body).stream;
        assert_eq!(stream(r#"{"stream_format":"sse"}"#), Some(true));
        assert_eq!(stream(r#"{"stream_format":"audio"}"#), None);
        assert_eq!(stream(r#"{"stream":true}"#), Some(true));
        assert_eq!(
            stream(r#"{"stream":false,"stream_format":"sse"}"#),
            Some(false)
        );
    }
}
