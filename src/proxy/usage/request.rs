//! What a request says of usage, and where it can be asked for.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::Method;
use memchr::memmem::Finder;

use crate::parse::json::{Kind, Text, Value};
use crate::proxy::object::{Occurs, Sought, note, read};

/// A kind of completion: upstreams report the usage of each in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Completion {
    /// `…/chat/completions`
    Chat,
    /// `…/completions`
    Text,
}

/// Which kind of completion a request is for, by its method and the tail of its path; `None` for anything else.
///
/// Others have paths that end so too, and refuse members that they do not know: Mistral's `…/fim/completions` and
/// `…/agents/completions`. So what comes before a text completion must be known.
#[must_use]
pub fn completion(method: &Method, path: &str) -> Option<Completion> {
    let mut tail = path.rsplit('/').filter(|segment| !segment.is_empty());
    if method != Method::POST || tail.next() != Some("completions") {
        return None;
    }
    let before = tail.next();
    if before == Some("chat") {
        return Some(Completion::Chat);
    }
    // Azure's, and the older form of OpenAI's own.
    let of_model = matches!(tail.next(), Some("deployments" | "engines"));
    (of_model || before.is_none_or(is_mount)).then_some(Completion::Text)
}

/// Whether an API is mounted under a segment of this name: a version (`v1`, `v1beta`, `beta`), or what it is.
fn is_mount(segment: &str) -> bool {
    let version = segment.strip_prefix('v').unwrap_or_default();
    version.starts_with(|first: char| first.is_ascii_digit())
        || matches!(segment, "beta" | "openai" | "api")
}

/// What a request body says about where it goes and whether it may be edited.
#[derive(Debug, Default)]
pub struct Inspected<'a> {
    /// `model`.
    pub model: Option<Cow<'a, str>>,
    /// What it says of usage.
    pub wish: Wish,
}

/// What a request says of usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wish {
    /// It cannot be told, or it wants none.
    #[default]
    Unclear,
    /// It is no stream, and so has usage.
    Whole,
    /// A stream, and not a word about usage: here is how to ask.
    Silent(Splice),
    /// A stream that is to report usage.
    Usage,
    /// A stream with options of the client's own, which say nothing of usage.
    Otherwise,
}

/// Bytes to be put into a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    /// How many bytes of the body stand before them; never none.
    pub at: usize,
    /// The bytes.
    pub text: &'static str,
}

impl<'a> Inspected<'a> {
    /// Reads a body.
    #[must_use]
    pub fn of(body: &'a [u8]) -> Self {
        let mut sought = ["model", "stream", "stream_options"].map(Sought::new);
        let Some(request) = read(body, &mut sought, &mut |_, _| {}) else {
            return Self::default();
        };
        let [model, stream, options] = sought.map(|sought| sought.found);
        // It was parsed from the body, so it lies in it.
        let at = request.raw().as_ptr() as usize - body.as_ptr() as usize + 1;
        Self {
            model: model.last().and_then(Value::as_text).map(Text::decode),
            wish: wish(at, stream, options),
        }
    }

    /// As [`Self::of`], of a body by which no route is chosen. One that does not have the name `stream` in it asks for no
    /// stream: to look for that is a tenth of the work of reading it. Its model is then what looks like one, which is enough
    /// to remember an answer by.
    #[must_use]
    pub fn at_a_glance(body: &'a [u8]) -> Self {
        static STREAM: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"stream\""));
        if STREAM.find(body).is_some() {
            return Self::of(body);
        }
        Self {
            model: first_model(body).map(Cow::Borrowed),
            wish: Wish::Whole,
        }
    }
}

/// Whether a body is a JSON object, whatever is in it.
#[must_use]
pub fn is_object(body: &[u8]) -> bool {
    read(body, &mut [], &mut |_, _| {}).is_some()
}

/// The first text that stands under the name `model`.
fn first_model(body: &[u8]) -> Option<&str> {
    static MODEL: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"model\""));
    let after = &body[MODEL.find(body)? + MODEL.needle().len()..];
    let value = after.trim_ascii_start().strip_prefix(b":")?;
    let text = value.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', text)?;
    std::str::from_utf8(&text[..end]).ok()
}

/// What a request with these members says. `at` is the place after its opening brace.
fn wish(at: usize, stream: Occurs<'_>, options: Occurs<'_>) -> Wish {
    let streams = match stream {
        Occurs::Absent => Some(false),
        Occurs::Once(stream) => stream.as_bool(),
        Occurs::Ambiguous(_) => None,
    };
    match (streams, options) {
        (None, _) => Wish::Unclear,
        (Some(false), _) => Wish::Whole,
        (Some(true), Occurs::Absent) => Wish::Silent(Splice {
            at,
            text: r#""stream_options":{"include_usage":true},"#,
        }),
        (Some(true), Occurs::Once(options)) => wish_in(options),
        (Some(true), Occurs::Ambiguous(_)) => Wish::Unclear,
    }
}

/// What the options of a stream say, which are the client's word whatever they are.
fn wish_in(options: Value<'_>) -> Wish {
    let mut sought = [Sought::new("include_usage")];
    if !matches!(options.kind(), Kind::Object | Kind::Null) {
        return Wish::Unclear;
    }
    for (key, value) in options.members() {
        note(&mut sought, key, value);
    }
    match sought[0].found {
        Occurs::Absent => Wish::Otherwise,
        Occurs::Once(asked) if asked.as_bool() == Some(true) => Wish::Usage,
        // Gateways that ask by themselves do not where the client said no: it shows nothing of those who are silent.
        Occurs::Once(_) | Occurs::Ambiguous(_) => Wish::Unclear,
    }
}
