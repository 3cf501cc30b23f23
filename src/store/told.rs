//! What people are told of an error of a bucket: its reason, without a credential. A server that does not take a request may quote it,
//! with the secrets that it came with.

use std::collections::HashSet;

use object_store::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::StoreConfig;
use super::location::Cloud;
use super::options;
use crate::redact::{Detector, Policy, REDACTED, Redactor, read_plain};

/// Most characters of what a server says of an error.
const ERROR_CHARS: usize = 300;

/// Shortest part of a setting that is taken for a secret, in bytes: emulators have any.
const SHORTEST: usize = 8;

/// Letters and digits of a secret that are a part of it worth hiding, whatever stands between them.
const RUN: usize = 16;

/// What stands before the status in the errors of a server.
const STATUS: &str = "status code: ";

/// Longest code of an error, in bytes.
const CODE_CHARS: usize = 48;

/// Why no more is told.
const LEFT_OUT: &str = "the message is left out, since it quotes a credential";

/// What reqwest says where a URL is not https and must be.
const NOT_PLAIN: &str = "URL scheme is not allowed";

/// What a URL has as escapes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Tells of errors. It knows the secrets among the settings, and others, such as those that a machine of the cloud is given, by their looks.
#[derive(Debug)]
pub(super) struct Teller {
    secrets: Secrets,
    looks: Redactor,
}

impl Teller {
    pub(super) fn new(cloud: Cloud, config: &StoreConfig) -> Self {
        let detectors = [
            Detector::Pem,
            Detector::Jwt,
            Detector::Key,
            Detector::Member,
        ];
        Self {
            secrets: Secrets::of(cloud, config),
            looks: Redactor::new(Policy {
                detectors: detectors.into(),
                ..Policy::default()
            }),
        }
    }

    /// What is told of an error.
    pub(super) fn told(&self, error: &Error) -> String {
        // Cut last: of a credential in two nobody could tell what it is.
        let reason = self.hide(&reason(error));
        match reason.char_indices().nth(ERROR_CHARS) {
            Some((end, _)) => format!("{}…", &reason[..end]),
            None => reason,
        }
    }

    /// A text without credentials. What is JSON at its end is read as such: names of headers may stand before lists of values.
    pub(super) fn hide(&self, text: &str) -> String {
        let text = self.secrets.hide(text);
        if self.secrets.are_in(&text) {
            return left_out(&text);
        }
        let (before, rest) = text.split_at(text.find(['{', '[']).unwrap_or(text.len()));
        let parts = [before, rest];
        let redacted = parts.map(|part| self.looks.redact(part).unwrap_or_else(|| part.to_owned()));
        redacted.concat()
    }
}

/// What is told in place of a text that quotes a credential in a way that nobody can cut it out of: its status and code.
fn left_out(text: &str) -> String {
    let (_, said) = text.split_once(STATUS).unwrap_or_default();
    let mut parts = said.split(": ");
    let status = parts.next().unwrap_or_default();
    let status = status.split(' ').next().unwrap_or_default();
    let is_status = !status.is_empty() && status.bytes().all(|byte| byte.is_ascii_digit());
    let code = parts.next().filter(|code| {
        let is_name = code.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_name && (1..=CODE_CHARS).contains(&code.len())
    });
    let status = is_status.then(|| format!("{STATUS}{status}: "));
    let code = code.map(|code| format!("{code}: "));
    [
        &status.unwrap_or_default(),
        &code.unwrap_or_default(),
        LEFT_OUT,
    ]
    .concat()
}

/// The reason of an error, and of what a server says of it, which is XML, code and message.
pub(super) fn reason(error: &Error) -> String {
    let text = in_a_line(error);
    // Before it stand the store's name, the object's, the method and the time.
    let mut reason = text
        .split_once(" - ")
        .map_or(&*text, |(_, reason)| reason)
        .to_owned();
    if let Some(code) = element(&reason, "Code") {
        let status = reason.split('<').next().unwrap_or_default();
        let message = element(&reason, "Message").unwrap_or_default();
        reason = format!("{} {code}: {message}", status.trim());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = in_a_line(cause);
    if !text.contains(&cause) && !cause.contains('<') {
        reason = format!("{reason}: {cause}");
    }
    if cause == NOT_PLAIN {
        reason.push_str(": expected https, or the http URL in store.endpoint");
    }
    reason
}

/// What an error says, in one line.
fn in_a_line(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// What stands in the first element of a name.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split('<').next()
}

/// The secrets among the settings.
struct Secrets {
    /// As they are written there, and as a URL writes them.
    forms: Vec<String>,
    /// The letters and digits of each, which are the same however it is written.
    bare: Vec<Vec<u8>>,
}

impl Secrets {
    fn of(cloud: Cloud, config: &StoreConfig) -> Self {
        let variables = config.variables.0.iter();
        let secrets = variables.filter(|(name, _)| {
            name.starts_with(options::variables_of(cloud)) && options::is_secret(cloud, name)
        });
        let (mut forms, mut bare) = (Vec::new(), Vec::new());
        for (_, secret) in secrets {
            // A signature for shared access is the query of a URL, of which a server may quote the values alone.
            let signature = secret.split(['?', '&']);
            let signature = signature.filter_map(|pair| pair.trim().strip_prefix("sig="));
            let signature: Vec<&str> = signature.collect();
            // What else is in such a query is no secret.
            let whole = [secret.trim()];
            let hidden = if signature.is_empty() {
                &whole[..]
            } else {
                &signature[..]
            };
            bare.extend(hidden.iter().map(|part| letters_and_digits(part)));
            for part in signature.into_iter().chain([secret.trim()]) {
                let plain = percent_decode_str(part).decode_utf8_lossy();
                let written = utf8_percent_encode(&plain, ESCAPED).to_string();
                forms.extend([part.to_owned(), plain.into_owned(), written]);
            }
        }
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        bare.retain(|secret| secret.len() >= SHORTEST);
        Self { forms, bare }
    }

    fn hide(&self, text: &str) -> String {
        let secrets = self.forms.iter();
        secrets.fold(text.to_owned(), |text, secret| {
            text.replace(&**secret, REDACTED)
        })
    }

    /// Whether a text quotes one, or a part of it, with whatever escapes and blanks.
    fn are_in(&self, text: &str) -> bool {
        let text = letters_and_digits(text);
        self.bare.iter().any(|secret| {
            let run = secret.len().min(RUN);
            let parts: HashSet<&[u8]> = secret.windows(run).collect();
            text.windows(run).any(|part| parts.contains(part))
        })
    }
}

/// Those of ASCII in a text, once its escapes are undone.
fn letters_and_digits(text: &str) -> Vec<u8> {
    let mut bare = read_plain(text).into_bytes();
    bare.retain(u8::is_ascii_alphanumeric);
    bare
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CloudVariables;

    fn failed(text: &str) -> Error {
        Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    fn teller(cloud: Cloud, variables: &[(&str, &str)]) -> Teller {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = StoreConfig {
            variables: CloudVariables(variables.collect()),
            ..StoreConfig::default()
        };
        Teller::new(cloud, &config)
    }

    #[test]
    fn of_an_error_its_reason_is_told() {
        let text = "Error performing PUT http://a/b.json in 2ms - Server returned non-2xx status code: 404 Not Found: \
            <?xml version='1.0'?>\n<Error><Code>NoSuchBucket</Code><Message>The bucket is not there</Message>\
            <AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        let expected = "Server returned non-2xx status code: 404 Not Found: NoSuchBucket: The bucket is not there";
        let teller = teller(Cloud::S3, &[]);
        assert_eq!(teller.told(&failed(text)), expected);
        let long = teller.told(&failed(&"é".repeat(ERROR_CHARS)));
        assert_eq!(long.chars().count(), ERROR_CHARS + 1);
    }

    #[test]
    fn what_a_server_quotes_of_a_request_is_told_without_the_secrets_of_the_settings() {
        let sas = "?sv=2024-11-04&ss=b&sig=a1B2%2Bc3D4%2Fe5F6g7H8%3D";
        let s3 = teller(Cloud::S3, &[("AWS_SESSION_TOKEN", "of our session\n")]);
        let azure = teller(Cloud::Azure, &[("AZURE_STORAGE_SAS_KEY", sas)]);
        for (teller, quoted) in [
            (&s3, "x-amz-security-token: of our session"),
            (&s3, "got /b?X-Amz-Security-Token=of%20our%20session"),
            (
                &azure,
                "got sv=2024-11-04&ss=b&sig=a1B2%2Bc3D4%2Fe5F6g7H8%3D",
            ),
            (&azure, "no such signature: a1B2+c3D4/e5F6g7H8="),
            (
                &azure,
                "<Code>Bad</Code><Message>sig is 'a1B2%2Bc3D4%2Fe5F6g7H8%3D'</Message>",
            ),
        ] {
            let told = teller.told(&failed(quoted));
            assert!(told.contains("REDACTED"), "{told}");
            assert!(
                !told.contains("session=") && !told.contains("c3D4"),
                "{told}"
            );
            assert!(!told.contains("our"), "{told}");
        }
        // Those of another cloud are none, nor is a word of few letters.
        let other = teller(
            Cloud::S3,
            &[
                ("AZURE_STORAGE_SAS_KEY", sas),
                ("AWS_SESSION_TOKEN", "code"),
            ],
        );
        assert_eq!(
            other.told(&failed("status code: 404")),
            "Generic S3 error: status code: 404"
        );
    }

    #[test]
    fn a_message_that_quotes_a_secret_in_a_form_of_its_own_is_left_out() {
        let token = "IQoJb3JpZ2luX2VjEJr/aCXVzLWVhc3Q+tMSJHMEUCIQ=&x";
        let s3 = teller(Cloud::S3, &[("AWS_SESSION_TOKEN", token)]);
        let quoted_as = |from: &str, to: &str| token.replace(from, to);
        for quoted in [
            token.replace('/', "&#x2F;").replace('=', "&#x3D;"),
            quoted_as("&", "&amp;"),
            quoted_as("/", "&amp;#47;"),
            token
                .replace('/', "%2f")
                .replace('+', "%2b")
                .replace('=', "%3d"),
            quoted_as("/", "%252F"),
            quoted_as("/", r"\/"),
            quoted_as("/", r"\u002f"),
            quoted_as("+", " "),
            quoted_as("XVz", "XV\r\n z"),
            quoted_as("J", r"\u004a"),
            token[8..30].to_owned(),
        ] {
            let body =
                format!("<Error><Code>InvalidToken</Code><Message>bad: {quoted}</Message></Error>");
            for body in [body, format!("bad: {quoted}")] {
                let text =
                    format!("x - Server returned non-2xx status code: 403 Forbidden: {body}");
                let told = s3.told(&failed(&text));
                assert!(told.starts_with("status code: 403: "), "{told}");
                assert!(told.ends_with(LEFT_OUT), "{told}");
                let has_code = body.contains("<Code>");
                assert_eq!(told.contains("InvalidToken"), has_code, "{told}");
            }
        }
        assert_eq!(s3.told(&failed(&format!("x - {}", &token[..30]))), LEFT_OUT);
        // What many texts have in common with it is no part of it.
        let text = format!("x - status code: 403: bad: {}", &token[..15]);
        assert!(s3.told(&failed(&text)).contains(&token[..15]));
    }

    #[test]
    fn a_body_of_many_lines_is_told_once_and_in_one() {
        let error = Error::Generic {
            store: "S3",
            source: "bad request\r\n  of a\nclient".into(),
        };
        let told = teller(Cloud::S3, &[]).told(&error);
        assert_eq!(told, "Generic S3 error: bad request of a client");
    }

    #[test]
    fn what_a_server_quotes_of_credentials_of_a_machine_is_told_by_their_looks() {
        let teller = teller(Cloud::S3, &[]);
        for (quoted, expected) in [
            (
                "got Authorization: AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20260101/eu/s3/aws4_request, SignedHeaders=host, \
                 Signature=0123456789abcdef0123456789abcdef",
                "got Authorization: [SECRET] [KEY], SignedHeaders=host, Signature=[SECRET]",
            ),
            (
                "got authorization: SharedKey me:a1B2+c3D4/e5F6g7H8=, and more",
                "got authorization: SharedKey [SECRET], and more",
            ),
            (
                r#"got {"Authorization": "Bearer ya29.a0AfB_byC-1234567890", "Host": "h"}"#,
                r#"got {"Authorization": "[SECRET]", "Host": "h"}"#,
            ),
            (
                r#"got {"headers": {"X-Amz-Security-Token": ["IQoJb3JpZ2luX2VjEJr//////////w=="]}}"#,
                r#"got {"headers": {"X-Amz-Security-Token": ["[SECRET]"]}}"#,
            ),
        ] {
            let told = teller.told(&failed(quoted));
            let told = told.strip_prefix("Generic S3 error: ").unwrap_or(&told);
            assert_eq!(told, expected);
        }
        // A credential at the place of the cut is gone before.
        let text = format!(
            "{} Bearer ya29.a0AfB_byC-1234567890",
            "x".repeat(ERROR_CHARS - 40)
        );
        assert!(!teller.told(&failed(&text)).contains("ya29"));
    }
}
