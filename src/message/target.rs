//! A request's target, as it was sent (RFC 9112 §3.2).
//!
//! A URI would not do: [`http::Uri`] ends at 64 KiB, drops a fragment without a word, and has no place for bytes that
//! clients send all the same, such as `<` or Latin-1.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri};

/// Where a request goes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Path and query. `*` for a question about the server as a whole, nothing where only an authority was named.
    text: Bytes,
    /// Host and port, where they were named. Boxed: they rarely are.
    authority: Option<Box<Authority>>,
}

/// Why a text is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Fragments are the client's own (RFC 9110 §4.2.5).
    #[error(
        "the request target has a fragment (#…), which is never sent; write %23 for the character"
    )]
    Fragment,
    /// It is neither a path, nor an absolute URL of HTTP, nor the `*` of `OPTIONS`.
    #[error(
        "the request target is neither a path, such as /v1/models, nor an http:// or https:// URL"
    )]
    Form,
}

impl Target {
    /// The target of a request, as it stands in the first line.
    ///
    /// # Errors
    /// [`TargetError`], where it names nothing.
    pub fn of(method: &Method, text: Bytes) -> Result<Self, TargetError> {
        if text.starts_with(b"/") {
            if memchr::memchr(b'#', &text).is_some() {
                return Err(TargetError::Fragment);
            }
            return Ok(Self::of_path(text));
        }
        match *method {
            Method::OPTIONS if *text == *b"*" => Ok(Self::of_path(text)),
            Method::CONNECT => Self::authority_form(&text),
            _ => Self::absolute_form(text),
        }
    }

    /// What a tunnel is asked for to.
    fn authority_form(text: &[u8]) -> Result<Self, TargetError> {
        let authority = Authority::try_from(text).map_err(|_| TargetError::Form)?;
        Ok(Self {
            text: Bytes::new(),
            authority: Some(Box::new(authority)),
        })
    }

    /// As clients write it that take us for a forward proxy.
    fn absolute_form(mut text: Bytes) -> Result<Self, TargetError> {
        if memchr::memchr(b'#', &text).is_some() {
            return Err(TargetError::Fragment);
        }
        let start = ["http://", "https://"].into_iter().find(|start| {
            let there = text.get(..start.len());
            there.is_some_and(|there| there.eq_ignore_ascii_case(start.as_bytes()))
        });
        let start = start.ok_or(TargetError::Form)?;
        let rest = text.split_off(start.len());
        let end = memchr::memchr2(b'/', b'?', &rest).unwrap_or(rest.len());
        let authority = Authority::try_from(&rest[..end]).map_err(|_| TargetError::Form)?;
        let text = match rest.slice(end..) {
            path if path.starts_with(b"/") => path,
            // An empty path is `/` (RFC 9112 §3.2.1).
            query => [b"/", &*query].concat().into(),
        };
        Ok(Self {
            text,
            authority: Some(Box::new(authority)),
        })
    }

    /// The target of this path and query.
    #[must_use]
    pub const fn of_path(text: Bytes) -> Self {
        Self {
            text,
            authority: None,
        }
    }

    /// Path and query, as they were sent.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// The path; what of it is no text stands as U+FFFD.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        text(&self.text[..self.path_end()])
    }

    /// The query, without its `?`; what of it is no text stands as U+FFFD.
    #[must_use]
    pub fn query(&self) -> Option<Cow<'_, str>> {
        let query = self.text.get(self.path_end() + 1..)?;
        Some(text(query))
    }

    /// Host and port, where the target names them.
    #[must_use]
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_deref()
    }

    /// As a URI at this scheme and authority, for HTTP/2; `None` where a URI has no place for it.
    #[must_use]
    pub fn to_uri(&self, scheme: Scheme, authority: Authority) -> Option<Uri> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(authority);
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(self.text.clone()).ok()?);
        Uri::from_parts(parts).ok()
    }

    fn path_end(&self) -> usize {
        memchr::memchr(b'?', &self.text).unwrap_or(self.text.len())
    }
}

/// Bytes as text; what is none stands as U+FFFD. The lossy conversion of what needs none takes four times the check.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

impl From<&Uri> for Target {
    fn from(uri: &Uri) -> Self {
        let text = uri.path_and_query().map_or("", PathAndQuery::as_str);
        Self {
            text: Bytes::copy_from_slice(text.as_bytes()),
            authority: uri.authority().cloned().map(Box::new),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may hold a credential.
        f.write_str(&self.path())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(method: &Method, text: &'static [u8]) -> Result<Target, TargetError> {
        Target::of(method, Bytes::from_static(text))
    }

    #[test]
    fn a_path_stays_as_it_was_sent() {
        for text in [
            &b"/"[..],
            b"/v1/models?a=b?c",
            b"/a{b}\"|<\\`^>?[x]",
            b"//a/../%65",
            b"/caf\xc3\xa9?q=caf\xe9",
        ] {
            assert_eq!(target(&Method::GET, text).unwrap().as_bytes(), text);
        }
    }

    #[test]
    fn path_and_query_part_at_the_first_question_mark() {
        let asked = target(&Method::GET, b"/a/b?c=d?e").unwrap();
        assert_eq!(asked.path(), "/a/b");
        assert_eq!(asked.query().unwrap(), "c=d?e");
        let plain = target(&Method::GET, b"/a\xe9").unwrap();
        assert_eq!(plain.path(), "/a\u{fffd}");
        assert_eq!(plain.query(), None);
        let empty = target(&Method::GET, b"/?").unwrap();
        assert_eq!(empty.query().unwrap(), "");
    }

    #[test]
    fn an_absolute_target_is_a_path_and_an_authority() {
        for (text, path) in [
            (&b"http://me:80/a?b"[..], &b"/a?b"[..]),
            (b"HTTPS://me:80", b"/"),
            (b"http://me:80?b", b"/?b"),
        ] {
            let target = target(&Method::GET, text).unwrap();
            assert_eq!(target.as_bytes(), path);
            assert_eq!(target.authority().unwrap(), "me:80");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in [&b"/a#b"[..], b"http://me/a#b"] {
            assert_eq!(target(&Method::GET, text), Err(TargetError::Fragment));
        }
        for text in [
            &b"me:80"[..],
            b"*",
            b"a/b",
            b"ftp://me/",
            b"http:///a",
            b"?a",
        ] {
            assert_eq!(
                target(&Method::GET, text),
                Err(TargetError::Form),
                "{text:?}"
            );
        }
        assert!(target(&Method::OPTIONS, b"*").is_ok());
        let tunnel = target(&Method::CONNECT, b"me:80").unwrap();
        assert_eq!(tunnel.authority().unwrap(), "me:80");
        assert_eq!(target(&Method::CONNECT, b"/a\"").map(|_| ()), Ok(()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(target) = Target::of(&Method::GET, text.into()) {
                let (path, query) = (target.path(), target.query());
                prop_assert!(path.len() + query.map_or(0, |query| query.len()) <= 3 * target.as_bytes().len());
                let uri = target.to_uri(Scheme::HTTP, Authority::from_static("me"));
                if let Some(uri) = uri {
                    let again = Target::from(&uri);
                    prop_assert_eq!(again.as_bytes(), target.as_bytes());
                }
            }
        }
    }
}
