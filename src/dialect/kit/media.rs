//! Images, sound and files in messages: which part is one, and where it is.
//!
//! Governing text: the API references of OpenAI ("Chat", "Responses") and Anthropic; vLLM's documentation, "Multimodal
//! inputs"; Ollama's.

use crate::dialect::part::{Binary, Medium, Source, Words};
use crate::parse::json::{Text, Value};

/// Types of parts that are no text, what they are, and the member that holds it; without one the part itself does.
const TYPES: [(&str, Medium, Option<&str>); 13] = [
    ("image_url", Medium::Image, Some("image_url")),
    ("input_image", Medium::Image, None),
    ("computer_screenshot", Medium::Image, None),
    ("image", Medium::Image, Some("source")),
    ("input_audio", Medium::Audio, Some("input_audio")),
    ("audio_url", Medium::Audio, Some("audio_url")),
    ("audio", Medium::Audio, Some("audio")),
    ("video_url", Medium::Video, Some("video_url")),
    ("input_video", Medium::Video, None),
    ("video", Medium::Video, Some("video")),
    ("file", Medium::File, Some("file")),
    ("input_file", Medium::File, None),
    ("document", Medium::File, Some("source")),
];

/// A part of this type, where that is one which is no text.
pub(in crate::dialect) fn binary<'a>(kind: &str, part: Value<'a>) -> Option<Binary<'a>> {
    let (_, medium, member) = TYPES.iter().find(|(known, ..)| *known == kind)?;
    let holder = member.map_or(Some(part), |member| part.get(member));
    Some(of_medium(*medium, holder.unwrap_or(part)))
}

/// An image that is no part by itself.
pub(in crate::dialect) fn image(image: Value<'_>) -> Binary<'_> {
    of_medium(Medium::Image, image)
}

fn of_medium(medium: Medium, holder: Value<'_>) -> Binary<'_> {
    if let Some(text) = holder.as_text() {
        return Binary {
            medium,
            source: by_text(text),
            format: None,
        };
    }
    let members = [
        "url",
        "image_url",
        "file_url",
        "data",
        "file_data",
        "file_id",
        "media_type",
        "format",
    ];
    let found = holder.select(members).map(|member| member?.as_text());
    let [url, image, file, data, content, id, media_type, format] = found;
    let source = match (url.or(image).or(file), data.or(content), id) {
        (Some(url), ..) => by_text(url),
        (_, Some(data), _) => Source::Inline(data.into()),
        (.., Some(id)) => Source::Id(id.into()),
        _ => Source::Unknown,
    };
    Binary {
        medium,
        source,
        format: media_type.or(format).map(Words::Json),
    }
}

/// Longest scheme of a URL that is looked for, in bytes.
const SCHEME_MAX: usize = 16;

/// A URL, or Base64, whether in a `data:` URL or not.
fn by_text(text: Text<'_>) -> Source<'_> {
    let begin = &text.raw()[..text.raw().len().min(SCHEME_MAX)];
    if begin.contains(&b':') && !begin.starts_with(b"data:") {
        Source::Url(text.into())
    } else {
        Source::Inline(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::json;

    fn shown(part: &str) -> Option<String> {
        let part = json::parse(part.as_bytes()).unwrap();
        let kind = part.get("type").unwrap().as_text().unwrap();
        let binary = binary(&kind.decode(), part)?;
        let source = match binary.source {
            Source::Inline(data) => format!("inline {}", data.decode()),
            Source::Url(url) => format!("url {}", url.decode()),
            Source::Id(id) => format!("id {}", id.decode()),
            Source::Unknown => "unknown".to_owned(),
        };
        let format = binary.format.map(Words::decode).unwrap_or_default();
        Some(format!("{:?} {source} {format}", binary.medium))
    }

    #[test]
    fn each_api_says_where_its_media_are() {
        for (part, expected) in [
            (
                r#"{"type":"image_url","image_url":{"url":"https://a/b","detail":"low"}}"#,
                "Image url https://a/b ",
            ),
            (
                r#"{"type":"image_url","image_url":"data:image/png;base64,AA"}"#,
                "Image inline data:image/png;base64,AA ",
            ),
            (r#"{"type":"input_image","file_id":"f1"}"#, "Image id f1 "),
            (
                r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}"#,
                "Image inline AA image/png",
            ),
            (
                r#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#,
                "Audio inline AA wav",
            ),
            (
                r#"{"type":"input_file","filename":"a.pdf","file_data":"data:,AA"}"#,
                "File inline data:,AA ",
            ),
            (
                r#"{"type":"document","source":{"type":"url","url":"https://a/b.pdf"}}"#,
                "File url https://a/b.pdf ",
            ),
            (r#"{"type":"video","video":{}}"#, "Video unknown "),
        ] {
            assert_eq!(shown(part).as_deref(), Some(expected), "{part}");
        }
        assert_eq!(shown(r#"{"type":"text","text":"a"}"#), None);
    }
}
