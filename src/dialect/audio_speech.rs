//! Speech out of text: `POST …/audio/speech`.
//!
//! Answered with sound as it is generated, or by events where `stream_format` asks for them. Governing text: the OpenAI
//! API reference, "Audio", "Create speech". Knows nothing of other dialects.

use crate::dialect::contract::{Dialect, Facts, Framing, Output, Reader};
use crate::dialect::kit::parameters::Parameters;
use crate::dialect::kit::typed::{Typed, TypedReader};
use crate::dialect::kit::unknown::Known;
use crate::dialect::kit::{path, usage};
use crate::dialect::part::Visitor;
use crate::exchange::{Operation, OutputType, Problems, Request};
use crate::parse::json::Value;

/// The dialect.
pub(super) struct AudioSpeech;

impl Dialect for AudioSpeech {
    fn operation(&self) -> Operation {
        Operation::Speech
    }

    fn route(&self) -> &'static str {
        "/v1/audio/speech"
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        method == "POST" && path::ends_in(path, &["audio", "speech"])
    }

    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        prompt: &mut dyn Visitor,
    ) {
        Parameters::read_body(body, problems, |parameters, problems| {
            request.model = parameters.text("model", problems);
            parameters.show("input", problems, prompt);
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
        Box::new(TypedReader(SpeechAnswer))
    }
}

/// Reads one response of events.
#[derive(Debug)]
struct SpeechAnswer;

impl Typed for SpeechAnswer {
    const EVENTS: &'static [Known] = &[("speech.audio.delta", None), ("speech.audio.done", None)];

    const HAS_NAMES: bool = false;

    fn typed(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        let [reported, audio] = event.select(["usage", "audio"]);
        usage::merge(reported, facts);
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
    use crate::dialect::tests::read_request;

    fn read(body: &str) -> Request {
        let (request, problems) = read_request(&AudioSpeech, body);
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
