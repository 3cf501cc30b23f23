//! Request paths, recognised by their tail: what stands before it is the business of whoever mounted the API there.
//!
//! `/v1/…`, `/openai/v1/…`, `/api/v1/…`, a prefix of a gateway's own, a base URL that lacks `/v1` or has it twice, doubled
//! and trailing slashes: all are met in the field.

/// Stands for one segment of any name.
pub(in crate::dialect) const ANY: &str = "{}";

/// Whether a path, without its query, ends in these segments.
pub(in crate::dialect) fn ends_in(path: &str, tail: &[&str]) -> bool {
    let mut rest = path;
    for expected in tail.iter().rev() {
        let path = rest.trim_end_matches('/');
        let before = match *expected {
            ANY if path.is_empty() => None,
            ANY => Some(path.rfind('/').map_or("", |at| &path[..=at])),
            expected => path.strip_suffix(expected),
        };
        match before {
            Some(before) if before.is_empty() || before.ends_with('/') => rest = before,
            _ => return false,
        }
    }
    true
}

/// The deployment that an Azure path names, `…/deployments/{deployment}/…`: the model, where the body names none.
#[must_use]
pub fn deployment(path: &str) -> Option<&str> {
    named_after("deployments", path)
}

/// The vector store that a path is about, `…/vector_stores/{id}/…`.
#[must_use]
pub fn vector_store(path: &str) -> Option<&str> {
    named_after("vector_stores", path)
}

/// The segment after a word, if it is not the last.
fn named_after<'p>(word: &str, path: &'p str) -> Option<&'p str> {
    let mut segments = segments(path).skip_while(|segment| *segment != word);
    segments.nth(1).filter(|_| segments.next().is_some())
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_its_tail() {
        for path in [
            "/v1/responses/r1/cancel",
            "/responses/r1/cancel/",
            "//openai//v1/responses/r1//cancel",
        ] {
            assert!(ends_in(path, &["responses", ANY, "cancel"]), "{path}");
        }
        for path in [
            "/v1/responses/cancel",
            "/v1/responses/r1/cancel/now",
            "/cancel",
            "",
        ] {
            assert!(!ends_in(path, &["responses", ANY, "cancel"]), "{path}");
        }
        assert!(!ends_in("/my-responses", &["responses"]));
        assert!(!ends_in("/cancel", &[ANY, "cancel"]));
    }

    #[test]
    fn the_deployment_is_the_segment_after_its_word() {
        let path = "/openai/deployments/my-gpt/chat/completions";
        assert_eq!(deployment(path), Some("my-gpt"));
        assert_eq!(
            deployment("/gateway/openai/deployments/d/embeddings"),
            Some("d")
        );
        for path in [
            "/v1/chat/completions",
            "/openai/deployments",
            "/deployments/d",
        ] {
            assert_eq!(deployment(path), None, "{path}");
        }
        let path = "/v1/vector_stores/vs_1/search";
        assert_eq!(vector_store(path), Some("vs_1"));
    }
}
