//! Images: `POST …/images/generations`, `…/images/edits` and `…/images/variations`.
//!
//! Governing text: the OpenAI API reference, "Images"; MiniMax sends each image in an event of its own, by URL, and
//! comments in between. Of the images themselves nothing is kept. Knows nothing of other dialects.

use crate::dialect::contract::{Dialect, Facts, Output, Reader};
use crate::dialect::kit::chunks::read_identity;
use crate::dialect::kit::parameters::Parameters;
use crate::dialect::kit::typed::{Typed, TypedReader};
use crate::dialect::kit::unknown::Known;
use crate::dialect::kit::{path, usage};
use crate::dialect::part::Visitor;
use crate::exchange::{Operation, OutputType, Problems, Request};
use crate::parse::json::Value;
use crate::parse::multipart::Form;

/// The dialect of one of the three calls.
pub(super) struct Images {
    tail: [&'static str; 2],
    route: &'static str,
}

/// From a prompt.
pub(super) static GENERATIONS: Images = Images {
    tail: ["images", "generations"],
    route: "/v1/images/generations",
};
/// From a prompt and images.
pub(super) static EDITS: Images = Images {
    tail: ["images", "edits"],
    route: "/v1/images/edits",
};
/// From an image.
pub(super) static VARIATIONS: Images = Images {
    tail: ["images", "variations"],
    route: "/v1/images/variations",
};

impl Dialect for Images {
    fn operation(&self) -> Operation {
        Operation::Images
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
        &["model", "prompt", "n", "stream", "seed"]
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
        Box::new(TypedReader(ImageAnswer))
    }
}

fn read_request(
    parameters: Parameters<'_>,
    request: &mut Request,
    problems: &mut Problems,
    prompt: &mut dyn Visitor,
) {
    request.model = parameters.text("model", problems);
    parameters.show("prompt", problems, prompt);
    request.choice_count = parameters.integer("n", problems);
    request.stream = parameters.flag("stream", problems);
    // Not OpenAI's, but of servers that run diffusion models.
    request.seed = parameters.integer("seed", problems);
    request.output_type = Some(OutputType::Image);
}

/// Members that hold an image, or say where one is.
const IMAGE: [&str; 3] = ["b64_json", "partial_image_b64", "url"];

/// Reads one response.
#[derive(Debug)]
struct ImageAnswer;

impl Typed for ImageAnswer {
    const EVENTS: &'static [Known] = &[
        ("image_edit.completed", None),
        ("image_edit.partial_image", None),
        ("image_generation.completed", None),
        ("image_generation.partial_image", None),
        // MiniMax.
        ("image_generation.partial_succeeded", None),
    ];

    const HAS_NAMES: bool = true;

    fn typed(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output {
        read_envelope(event, facts);
        facts.response.done |= kind.ends_with(".completed");
        generated(has_image(event))
    }

    fn whole(&mut self, answer: Value<'_>, facts: &mut Facts) -> Output {
        read_envelope(answer, facts);
        generated(answer.get("data").is_some())
    }

    /// The images of an answer are a list, of some megabytes each.
    fn reads_lists(&self) -> bool {
        false
    }
}

fn read_envelope(object: Value<'_>, facts: &mut Facts) {
    let [id, model, reported] = object.select(["id", "model", "usage"]);
    read_identity([id, model, None, None], facts);
    usage::merge(reported, facts);
}

fn has_image(object: Value<'_>) -> bool {
    let members = object.select(IMAGE).into_iter().flatten();
    members
        .filter_map(Value::as_text)
        .any(|text| !text.is_empty())
}

fn generated(other: bool) -> Output {
    Output {
        other,
        ..Output::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::for_request;
    use crate::dialect::tests::{read_form, read_request};

    #[test]
    fn the_three_calls_have_routes_of_their_own() {
        for (path, route) in [
            ("/v1/images/generations", "/v1/images/generations"),
            ("/openai/deployments/d/images/edits", "/v1/images/edits"),
            ("/api/v1/images/variations/", "/v1/images/variations"),
        ] {
            let dialect = for_request("POST", path).unwrap();
            assert_eq!(
                (dialect.operation(), dialect.route()),
                (Operation::Images, route)
            );
        }
        assert!(for_request("POST", "/v1/images").is_none());
        assert!(for_request("GET", "/v1/images/edits").is_none());
    }

    #[test]
    fn a_form_and_a_body_ask_for_the_same() {
        let expected = Request {
            model: Some("gpt-image-1".into()),
            prompt_chars: Some(3),
            choice_count: Some(2),
            stream: Some(true),
            seed: Some(7),
            output_type: Some(OutputType::Image),
            ..Request::default()
        };
        let expected = (expected, Problems::default());
        let body =
            r#"{"prompt":"cat","n":2,"seed":7,"stream":true,"model":"gpt-image-1","size":"auto"}"#;
        assert_eq!(read_request(&GENERATIONS, body), expected);
        let values = ["gpt-image-1", "cat", "2", "true", "7"];
        let names = EDITS.form_fields().iter().copied();
        let fields: Vec<_> = names.zip(values).collect();
        assert_eq!(read_form(&EDITS, &fields), expected);
    }

    #[test]
    fn four_megabytes_of_image_in_one_line_are_read_past() {
        let image = "A".repeat(4 << 20);
        let event = format!(r#"{{"b64_json":"{image}","usage":{{"output_tokens":9}}}}"#);
        let mut facts = Facts::default();
        let mut reader = GENERATIONS.reader();
        let output = reader.event(b"image_generation.completed", event.as_bytes(), &mut facts);
        assert!(output.other && facts.response.done);
        assert_eq!(facts.usage.output_tokens, Some(9));
    }
}
