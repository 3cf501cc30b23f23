//! Images and sound: reads what is asked for, and renders an answer of made-up bytes and words.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;
use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::completion;
use super::render::{self, StreamEvent};
use super::request::{self, ApiError, Knobs};

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `/v1/images/generations` and `/v1/images/edits`.
    Images,
    /// `/v1/audio/speech`.
    Speech,
    /// `/v1/audio/transcriptions` and `/v1/audio/translations`.
    Transcript,
}

/// A request.
#[derive(Debug)]
pub(super) struct MediaRequest {
    media: Media,
    members: Map<String, Value>,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) knobs: Knobs,
}

/// An answer.
#[derive(Debug)]
pub(super) enum MediaBody {
    /// In one piece, of this type, and so many tokens long.
    Whole(&'static str, Bytes, usize),
    /// In pieces, of this type.
    Pieces(&'static str, Vec<StreamEvent>),
}

/// Bytes of one image, and of one piece of sound.
const PIECE: usize = 768;
/// Usual length of an answer, in pieces of sound or words.
const LENGTH: usize = 24;
/// Usual number of images before the last one, where a stream was asked for.
const PARTIAL_IMAGES: usize = 2;
/// Input tokens that an upload counts for.
const UPLOAD_TOKENS: usize = 40;

impl Media {
    /// What a path below `/v1/` is about.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "images/generations" | "images/edits" => Some(Self::Images),
            "audio/speech" => Some(Self::Speech),
            "audio/transcriptions" | "audio/translations" => Some(Self::Transcript),
            _ => None,
        }
    }
}

impl MediaRequest {
    /// Reads a JSON object, or a form.
    pub(super) fn read(media: Media, headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let is_form = content_type.is_some_and(|value| value.starts_with(b"multipart/form-data"));
        let members = if is_form {
            form(body)
        } else {
            request::object(body)?
        };
        let stream = match media {
            Media::Speech => "stream_format",
            Media::Images | Media::Transcript => "stream",
        };
        let stream = members.get(stream);
        Ok(Self {
            media,
            model: request::model(&members)?.to_owned(),
            stream: stream.is_some_and(|value| *value == true || value == "true" || value == "sse"),
            knobs: Knobs::read(headers, &members, 1),
            members,
        })
    }

    /// The answer, in which chance takes its part.
    pub(super) fn answer(&self, created: u64, chance: &mut Chance) -> MediaBody {
        match self.media {
            Media::Images => self.images(created, chance),
            Media::Speech => self.speech(chance),
            Media::Transcript => self.transcript(chance),
        }
    }

    fn input(&self, name: &str) -> usize {
        self.members.get(name).map_or(0, request::words)
    }

    fn length(&self, usual: usize, chance: &mut Chance) -> usize {
        let chunks = self.knobs.chunks;
        chunks.unwrap_or_else(|| chance.about(usual)).max(1)
    }

    fn images(&self, created: u64, chance: &mut Chance) -> MediaBody {
        let text = self.input("prompt");
        let usage = |images: usize| {
            json!({
                "total_tokens": text + PIECE * images,
                "input_tokens": text,
                "output_tokens": PIECE * images,
                "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
                "output_tokens_details": {"text_tokens": 0, "image_tokens": PIECE * images},
            })
        };
        if !self.stream {
            let images = self.members.get("n").and_then(Value::as_u64);
            let images = images.unwrap_or(1).clamp(1, 10) as usize;
            let data = (0..images).map(|_| json!({"b64_json": coded(chance)}));
            let body = json!({
                "created": created,
                "data": data.collect::<Vec<_>>(),
                "usage": usage(images),
            });
            return MediaBody::Whole("application/json", render::pretty(&body), PIECE);
        }
        let partial = (0..self.length(PARTIAL_IMAGES, chance)).map(|index| {
            let members = json!({"b64_json": coded(chance), "partial_image_index": index, "created_at": created});
            event("image_generation.partial_image", members, true)
        });
        let mut events: Vec<StreamEvent> = partial.collect();
        let last = json!({"b64_json": coded(chance), "created_at": created, "usage": usage(1)});
        events.push(event("image_generation.completed", last, true));
        MediaBody::Pieces("text/event-stream; charset=utf-8", events)
    }

    fn speech(&self, chance: &mut Chance) -> MediaBody {
        let pieces = self.length(LENGTH, chance);
        if !self.stream {
            let sound = (0..pieces).map(|_| StreamEvent {
                bytes: noise(chance).into(),
                paced: true,
            });
            return MediaBody::Pieces("audio/mpeg", sound.collect());
        }
        let deltas =
            (0..pieces).map(|_| event("speech.audio.delta", json!({"audio": coded(chance)}), true));
        let mut events: Vec<StreamEvent> = deltas.collect();
        let input = self.input("input");
        let usage =
            json!({"input_tokens": input, "output_tokens": pieces, "total_tokens": input + pieces});
        events.push(event("speech.audio.done", json!({"usage": usage}), false));
        MediaBody::Pieces("text/event-stream; charset=utf-8", events)
    }

    fn transcript(&self, chance: &mut Chance) -> MediaBody {
        let words: Vec<_> = completion::words(self.length(LENGTH, chance), chance).collect();
        let (text, count) = (words.concat(), words.len());
        let usage = json!({
            "type": "tokens",
            "input_tokens": UPLOAD_TOKENS,
            "input_token_details": {"text_tokens": 0, "audio_tokens": UPLOAD_TOKENS},
            "output_tokens": count,
            "total_tokens": UPLOAD_TOKENS + count,
        });
        if !self.stream {
            let plain = self.members.get("response_format");
            return if plain.is_some_and(|format| format == "text") {
                MediaBody::Whole(
                    "text/plain; charset=utf-8",
                    format!("{text}\n").into(),
                    count,
                )
            } else {
                let body = render::pretty(&json!({"text": text, "usage": usage}));
                MediaBody::Whole("application/json", body, count)
            };
        }
        let deltas = words
            .iter()
            .map(|word| event("transcript.text.delta", json!({"delta": word}), true));
        let mut events: Vec<StreamEvent> = deltas.collect();
        let done = json!({"text": text, "usage": usage});
        events.push(event("transcript.text.done", done, false));
        MediaBody::Pieces("text/event-stream; charset=utf-8", events)
    }
}

/// An event, named by its type as OpenAI names them.
fn event(kind: &str, mut members: Value, paced: bool) -> StreamEvent {
    members["type"] = kind.into();
    let bytes = format!("event: {kind}\ndata: {members}\n\n").into();
    StreamEvent { bytes, paced }
}

fn coded(chance: &mut Chance) -> String {
    BASE64_STANDARD.encode(noise(chance))
}

fn noise(chance: &mut Chance) -> Vec<u8> {
    let numbers = (0..PIECE / 8).flat_map(|_| chance.next().to_le_bytes());
    // As an MP3 frame begins, so that no client takes it for text.
    [0xff, 0xfb].into_iter().chain(numbers).collect()
}

/// The fields of a form, as the SDKs write it, but for its files.
fn form(body: &[u8]) -> Map<String, Value> {
    let delimiter = [
        b"\r\n",
        body.split(|byte| *byte == b'\r').next().unwrap_or_default(),
    ]
    .concat();
    let mut starts = vec![0];
    starts.extend(memmem::find_iter(body, &delimiter));
    let parts = starts.windows(2).map(|ends| &body[ends[0]..ends[1]]);
    parts.filter_map(field).collect()
}

fn field(part: &[u8]) -> Option<(String, Value)> {
    let end = memmem::find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..end]).ok()?;
    let value = std::str::from_utf8(&part[end + 4..]).ok()?;
    let (_, name) = head.split_once("; name=\"")?;
    let (name, _) = name.split_once('"')?;
    let is_file = head.contains("; filename=");
    (!is_file).then(|| (name.to_owned(), value.into()))
}
