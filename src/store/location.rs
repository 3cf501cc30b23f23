//! Where the store is, as it is written: the path of a folder, or the URL of one or of a bucket.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// What a location looks like.
pub const EXPECTED: &str = "the path of a folder, or file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, or \
    abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX";

/// A folder, or a bucket and the beginning of its objects' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    Bucket {
        /// Whose.
        cloud: Cloud,
        /// Its URL, without the prefix.
        url: String,
        /// What names of objects begin with; empty for nothing.
        prefix: String,
    },
}

/// Who has the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Google => "Google Cloud Storage",
            Self::Azure => "Azure",
        })
    }
}

const SCHEMES: [(&str, Cloud); 5] = [
    ("s3", Cloud::S3),
    ("gs", Cloud::Google),
    ("az", Cloud::Azure),
    ("abfs", Cloud::Azure),
    ("abfss", Cloud::Azure),
];

impl Location {
    /// Reads one. `None` for what is [none](EXPECTED): credentials have no place in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return (!text.trim().is_empty()).then(|| Self::Folder(text.into()));
        };
        if scheme == "file" {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            let path = path.starts_with('/').then_some(path)?;
            let path = percent_decode_str(path).decode_utf8().ok()?;
            return Some(Self::Folder(path.into_owned().into()));
        }
        let (_, cloud) = SCHEMES.into_iter().find(|(known, _)| *known == scheme)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = bucket.split_once('@').unwrap_or(("", bucket));
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_named = !host.is_empty() && host.chars().chain(user.chars()).all(fits);
        let may_have_user = scheme.starts_with("abfs");
        let prefix = prefix.trim_matches('/');
        let is_plain = !prefix.contains(['?', '#', '\\']) && !prefix.contains("//");
        let is_path = is_plain && prefix.split('/').all(|part| part != "." && part != "..");
        (is_named && (may_have_user || user.is_empty()) && is_path).then(|| Self::Bucket {
            cloud,
            url: format!("{scheme}://{bucket}"),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { url, prefix, .. } if prefix.is_empty() => f.write_str(url),
            Self::Bucket { url, prefix, .. } => write!(f, "{url}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_path_or_a_url() {
        for (text, path) in [
            ("/var/lib/prompts", "/var/lib/prompts"),
            ("prompts", "prompts"),
            ("file:///var/my%20prompts", "/var/my prompts"),
            ("file://localhost/var", "/var"),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(location, Location::Folder(path.into()));
            assert_eq!(location.to_string(), path);
        }
    }

    #[test]
    fn a_bucket_has_a_prefix_or_none() {
        for (text, cloud, shown) in [
            ("s3://bucket", Cloud::S3, "s3://bucket"),
            ("s3://bucket/a/b/", Cloud::S3, "s3://bucket/a/b"),
            ("gs://bucket/a", Cloud::Google, "gs://bucket/a"),
            ("az://container/a", Cloud::Azure, "az://container/a"),
            (
                "abfss://files@me.dfs.core.windows.net/a",
                Cloud::Azure,
                "abfss://files@me.dfs.core.windows.net/a",
            ),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.to_string(), shown);
            assert_eq!(Location::parse(shown).unwrap(), location);
            assert!(matches!(location, Location::Bucket { cloud: it, .. } if it == cloud));
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            " ",
            "file://host/a",
            "file://",
            "s3://",
            "s3:///a",
            "http://bucket/a",
            "s3://key:secret@bucket/a",
            "s3://bucket/a?versionId=1",
            "s3://bucket/../a",
            "s3://bucket/a//b",
            "az://c@account/a",
        ] {
            assert_eq!(Location::parse(text), None, "{text}");
        }
    }
}
