//! Errors: in an HTTP error's body, in place of an answer or inside a stream that began with a 200, or as the way in which a
//! choice ended.
//!
//! Everybody has a shape of their own for them, and gateways put one into the other. Sources: the API references of OpenAI,
//! Anthropic, Google, OpenRouter, MiniMax (`base_resp`), SiliconFlow and Zhipu (`code` and `message` or `msg`), Baidu
//! (`error_code`), Cloudflare (`success` and `errors`), DeepSeek (finish reasons); FastAPI (`detail`), under many servers.

use crate::dialect::contract::Facts;
use crate::dialect::kit::member::{decode, keep, keep_str};
use crate::exchange::ApiError;
use crate::parse::json::{Kind, Text, Value};

/// How deep envelopes are opened that lie in each other.
const ENVELOPES_MAX: u8 = 4;

/// Finish reasons of choices whose generation failed: of OpenRouter and lmdeploy, vLLM and SGLang, Zhipu, DeepSeek.
const FAILED: [&str; 5] = [
    "error",
    "abort",
    "network_error",
    "insufficient_system_resource",
    "parse_error",
];

/// Members of which an answer has one, whatever API it is of.
const ANSWERS: [&str; 9] = [
    "choices",
    "content",
    "data",
    "embedding",
    "embeddings",
    "output",
    "result",
    "results",
    "text",
];

/// What the member `error` says: an object, a bare string, or a list of them. `None` for the `null`, `false`, `""` and `{}`
/// that some servers put beside a good answer.
pub(in crate::dialect) fn from_member(error: Value<'_>) -> Option<ApiError> {
    open(error, ENVELOPES_MAX)
}

/// What an object says that is known to be an error: in an envelope, else by itself. `None` if it has none of an error's
/// members.
pub(in crate::dialect) fn from_object(object: Value<'_>) -> Option<ApiError> {
    open(object, ENVELOPES_MAX)
}

/// The error that an object is which came as an answer, with a 200: in its member `error`, or by a vendor's envelope.
pub(in crate::dialect) fn inside(answer: Value<'_>) -> Option<ApiError> {
    let member = answer.get("error").and_then(from_member);
    member.or_else(|| from_envelope(answer))
}

/// The error that an object is by a vendor's envelope. MiniMax says in `base_resp` how each answer went; others send `code`
/// and a message, or `success`, in place of an answer.
pub(in crate::dialect) fn from_envelope(object: Value<'_>) -> Option<ApiError> {
    let [base, success, code, other_code, message, msg, error_msg] = object.select([
        "base_resp",
        "success",
        "code",
        "error_code",
        "message",
        "msg",
        "error_msg",
    ]);
    let base = base.filter(|base| base.get("status_code").is_some_and(tells_failure));
    if let Some(base) = base {
        return from_object(base);
    }
    let unsuccessful = success.and_then(Value::as_bool) == Some(false);
    let says = [message, msg, error_msg].into_iter().flatten();
    let mut says = says.filter(|text| text.kind() == Kind::String);
    let coded =
        code.or(other_code).is_some_and(tells_failure) && says.next().is_some_and(tells_failure);
    if !(unsuccessful || coded) || is_answered(object) {
        return None;
    }
    Some(from_object(object).unwrap_or_default())
}

/// Whether an object has an answer in it. An empty list or text is none.
fn is_answered(object: Value<'_>) -> bool {
    let answers = object.select(ANSWERS).into_iter().flatten();
    answers.into_iter().any(|answer| match answer.kind() {
        Kind::Array => answer.elements().next().is_some(),
        Kind::Object => answer.members().next().is_some(),
        Kind::String => answer.as_text().is_some_and(|text| !text.is_empty()),
        _ => false,
    })
}

/// Whether a code or a message is that of a failure: neither zero nor an HTTP status or a word of success.
fn tells_failure(code: Value<'_>) -> bool {
    let is_good = |code: i64| code == 0 || (200..300).contains(&code);
    match code.as_text().map(Text::decode) {
        Some(word) => match word.parse() {
            Ok(number) => !is_good(number),
            Err(_) => !matches!(&*word.to_ascii_lowercase(), "" | "ok" | "success"),
        },
        None => code.as_i64().is_some_and(|number| !is_good(number)),
    }
}

fn open(error: Value<'_>, envelopes: u8) -> Option<ApiError> {
    match error.kind() {
        Kind::Object => open_object(error, envelopes.checked_sub(1)?),
        Kind::Array => error
            .elements()
            .find_map(|error| open(error, envelopes.checked_sub(1)?)),
        Kind::String => error
            .as_text()
            .filter(|text| !text.is_empty())
            .map(|text| from_text(&text.decode())),
        _ => None,
    }
}

fn open_object(object: Value<'_>, envelopes: u8) -> Option<ApiError> {
    let [
        error,
        errors,
        detail,
        kind,
        codes @ ..,
        message,
        msg,
        error_msg,
        status_msg,
    ] = object.select([
        "error",
        "errors",
        "detail",
        "type",
        "code",
        "error_code",
        "status_code",
        "message",
        "msg",
        "error_msg",
        "status_msg",
    ]);
    // A detail that is a list says what is wrong where, and is a message.
    let nested = detail.filter(|detail| detail.kind() == Kind::Object);
    let envelopes_in = [error, errors, nested].into_iter().flatten();
    for inner in envelopes_in {
        if let Some(inner) = open(inner, envelopes) {
            return Some(inner);
        }
    }
    let text = |member: Option<Value<'_>>| {
        let text = member?.as_text()?;
        (!text.is_empty()).then(|| keep(text))
    };
    let there = |member: &Value<'_>| !member.is_null();
    let code = codes.into_iter().flatten().find(there);
    let messages = [message, msg, error_msg, status_msg, detail];
    let message = messages.into_iter().flatten().find(there);
    let error = ApiError {
        code: text(code),
        kind: text(kind),
        message: message.map(|message| match message.as_text() {
            Some(text) => keep(text),
            None => keep_str(&decode(message.raw())),
        }),
        status: code.and_then(Value::as_i64),
    };
    (error != ApiError::default()).then_some(error)
}

/// An error of which only a text is known.
pub(in crate::dialect) fn from_text(message: &str) -> ApiError {
    ApiError {
        message: Some(keep_str(message)),
        ..ApiError::default()
    }
}

/// An error of which only the kind is known.
pub(in crate::dialect) fn of_kind(kind: String) -> ApiError {
    ApiError {
        kind: Some(kind),
        ..ApiError::default()
    }
}

/// Whether an object without `error` and `choices` calls itself an error, as older vLLM and lmdeploy (`object`) and relays of
/// other APIs (`type`) do.
pub(in crate::dialect) fn is_bare(object: Value<'_>) -> bool {
    let says_error = |member: Value<'_>| member.as_text().is_some_and(|text| text.is("error"));
    let members = object.select(["object", "type"]);
    members.into_iter().flatten().any(says_error)
}

/// Keeps the first error, since what follows it is often its echo; one of which only the kind is known gives way to one that
/// says more.
pub(in crate::dialect) fn note_error(error: Option<ApiError>, facts: &mut Facts) {
    let kept = &mut facts.response.error;
    let says_more = |error: &ApiError| {
        error.code.is_some() || error.message.is_some() || error.status.is_some()
    };
    let replaces = match (&*kept, &error) {
        (Some(kept), Some(error)) => !says_more(kept) && says_more(error),
        (kept, error) => kept.is_none() && error.is_some(),
    };
    if replaces {
        *kept = error.map(Box::new);
    }
}

/// Notes the error that a choice tells by the reason for which it ended, if it failed.
pub(in crate::dialect) fn note_failed_finish(reason: Text<'_>, facts: &mut Facts) {
    if FAILED.iter().any(|failed| reason.is(failed)) {
        note_error(Some(of_kind(keep(reason))), facts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::json;

    /// An error as its code, type, status and message, `-` for what it lacks.
    fn told(error: Option<ApiError>) -> String {
        let Some(error) = error else {
            return "none".into();
        };
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let status = error.status.map(|status| status.to_string());
        [error.code, error.kind, status, error.message]
            .map(text)
            .join(" ")
    }

    #[test]
    fn an_error_is_read_in_whatever_envelope_it_comes() {
        for (body, expected) in [
            (
                r#"{"error":{"message":"m","code":"c","type":"t"}}"#,
                "c t - m",
            ),
            (
                r#"{"detail":{"error":{"message":"m","type":"t"}}}"#,
                "- t - m",
            ),
            (r#"{"detail":{"error":"m"}}"#, "- - - m"),
            (r#"{"detail":{"error_code":"c","message":"m"}}"#, "c - - m"),
            (r#"{"detail":{"error_code":7,"error_msg":"m"}}"#, "- - 7 m"),
            (r#"{"detail":"m"}"#, "- - - m"),
            (r#"{"detail":[{"msg":"m"}]}"#, r#"- - - [{"msg":"m"}]"#),
            (r#"{"error":{"error":{"message":"m","code":5}}}"#, "- - 5 m"),
            (
                r#"{"errors":[{"code":7003,"message":"m"}],"success":false}"#,
                "- - 7003 m",
            ),
            (r#"{"errors":{"message":"m"},"request_id":"r"}"#, "- - - m"),
            (
                r#"{"type":"error","error":{"type":"t","message":"m"}}"#,
                "- t - m",
            ),
            (r#"{"code":500,"msg":"m","success":false}"#, "- - 500 m"),
            (r#"{"error_code":336003,"error_msg":"m"}"#, "- - 336003 m"),
            (r#"{"error":null,"message":"m"}"#, "- - - m"),
            (r#"{"error":{}}"#, "none"),
            (r#"{}"#, "none"),
        ] {
            let object = json::parse(body.as_bytes()).unwrap();
            assert_eq!(told(from_object(object)), expected, "{body}");
        }
    }

    #[test]
    fn envelopes_are_opened_to_a_bound() {
        let nested = |depth| {
            let open = r#"{"error":"#.repeat(depth);
            format!("{open}\"m\"{}", "}".repeat(depth))
        };
        let told = |body: String| told(from_object(json::parse(body.as_bytes()).unwrap()));
        assert_eq!(told(nested(3)), "- - - m");
        assert_eq!(told(nested(9)), "none");
    }

    #[test]
    fn a_vendor_says_in_an_envelope_that_there_is_no_answer() {
        for (body, expected) in [
            (
                r#"{"base_resp":{"status_code":1008,"status_msg":"m"},"choices":null}"#,
                "- - 1008 m",
            ),
            (
                r#"{"base_resp":{"status_code":1027,"status_msg":"m"},"choices":[{"message":{}}]}"#,
                "- - 1027 m",
            ),
            (
                r#"{"base_resp":{"status_code":0,"status_msg":""},"choices":null}"#,
                "none",
            ),
            (r#"{"base_resp":null}"#, "none"),
            (r#"{"code":20012,"message":"m","data":null}"#, "- - 20012 m"),
            (
                r#"{"code":"InvalidApiKey","message":"m","request_id":"r"}"#,
                "InvalidApiKey - - m",
            ),
            (r#"{"code":"1234","msg":"m","choices":[]}"#, "1234 - - m"),
            (r#"{"success":false}"#, "- - - -"),
            (
                r#"{"success":false,"errors":[{"code":5,"message":"m"}],"result":{}}"#,
                "- - 5 m",
            ),
            (
                r#"{"error_code":17,"error_msg":"m","id":"as-1"}"#,
                "- - 17 m",
            ),
            (r#"{"code":0,"msg":"m"}"#, "none"),
            (r#"{"code":200,"msg":"m"}"#, "none"),
            (r#"{"code":"200","msg":"m"}"#, "none"),
            (r#"{"code":"Success","message":"m"}"#, "none"),
            (r#"{"code":1,"msg":"success","data":[]}"#, "none"),
            (r#"{"code":500}"#, "none"),
            (r#"{"code":500,"msg":"m","choices":[{"delta":{}}]}"#, "none"),
            (r#"{"success":false,"data":[1]}"#, "none"),
            (r#"{"success":true,"msg":"m"}"#, "none"),
            (r#"{"choices":[],"usage":{}}"#, "none"),
        ] {
            let object = json::parse(body.as_bytes()).unwrap();
            assert_eq!(told(inside(object)), expected, "{body}");
        }
    }

    #[test]
    fn an_error_that_says_more_takes_the_place_of_a_kind_alone() {
        let kept = |errors: [ApiError; 2]| {
            let mut facts = Facts::default();
            for error in errors {
                note_error(Some(error), &mut facts);
            }
            told(facts.response.error.map(|error| *error))
        };
        let kind = |kind: &str| of_kind(kind.into());
        assert_eq!(kept([kind("error"), from_text("m")]), "- - - m");
        assert_eq!(kept([from_text("m"), kind("error")]), "- - - m");
        assert_eq!(kept([kind("error"), kind("other")]), "- error - -");
        assert_eq!(kept([from_text("m"), from_text("echo")]), "- - - m");
    }
}
