//! Options of a bucket's client as a file may set them, by the names that the crate `object_store` has for them, and which a file may not set.

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::client::ClientConfigKey;
use object_store::gcp::GoogleConfigKey;

use super::location::Cloud;

/// Options of a bucket's client: names in lower case, and values. Of several with a name the last holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudOptions(pub Vec<(String, String)>);

/// What an option is to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// It can stand there.
    Free,
    /// It can only come by the variable of this name.
    Secret(String),
    /// Another key says it.
    Elsewhere(&'static str),
    /// Nothing says it.
    Fixed(&'static str),
}

/// Why an option cannot stand in a file, whichever cloud has the bucket; `None` where it can.
#[must_use]
pub fn refusal(name: &str) -> Option<String> {
    let kinds = [Cloud::S3, Cloud::Google, Cloud::Azure].map(|cloud| kind(cloud, name));
    let known: Vec<Kind> = kinds.into_iter().flatten().collect();
    if known.contains(&Kind::Free) {
        return None;
    }
    Some(match known.first() {
        Some(Kind::Secret(variable)) => {
            format!("it is a secret, expected it in the variable {variable} instead")
        }
        Some(Kind::Elsewhere(key)) => format!("expected {key} instead"),
        Some(Kind::Fixed(why)) => format!("it cannot be set: {why}"),
        Some(Kind::Free) | None => format!(
            "unknown option, expected one that the crate object_store has, such as {}",
            [Cloud::S3, Cloud::Google, Cloud::Azure]
                .map(examples)
                .join(", ")
        ),
    })
}

impl CloudOptions {
    /// What is wrong with them for the bucket of a cloud.
    #[must_use]
    pub fn wrong_for(&self, cloud: Cloud) -> Vec<String> {
        let strange = self
            .0
            .iter()
            .filter(|(name, _)| kind(cloud, name).is_none());
        let strange = strange.map(|(name, _)| {
            format!(
                "{name}: no option of {cloud}, expected one such as {}",
                examples(cloud)
            )
        });
        strange.chain(self.twice(cloud)).collect()
    }

    /// Options that say the same by two names, and not alike.
    fn twice(&self, cloud: Cloud) -> impl Iterator<Item = String> {
        self.0.iter().enumerate().filter_map(move |(at, (name, value))| {
            let key = key(cloud, name)?;
            let is_other = |(other, said): &&(String, String)| {
                said != value && self::key(cloud, other) == Some(key.clone())
            };
            let (other, _) = self.0[..at].iter().find(is_other)?;
            Some(format!("{name}: it is the same option as {other}, with another value: expected one of them"))
        })
    }
}

/// What an option is called by the crate, whichever of its names stands there.
fn key(cloud: Cloud, name: &str) -> Option<String> {
    match cloud {
        Cloud::S3 => name
            .parse()
            .ok()
            .map(|key: AmazonS3ConfigKey| key.as_ref().to_owned()),
        Cloud::Google => name
            .parse()
            .ok()
            .map(|key: GoogleConfigKey| key.as_ref().to_owned()),
        Cloud::Azure => name
            .parse()
            .ok()
            .map(|key: AzureConfigKey| key.as_ref().to_owned()),
    }
}

/// Whether a cloud's client has an option of this name, as a file or a variable writes it.
pub(super) fn is_known(cloud: Cloud, name: &str) -> bool {
    kind(cloud, &name.to_ascii_lowercase()).is_some()
}

/// What names of a cloud's variables begin with.
pub(super) const fn variables_of(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => "AWS_",
        Cloud::Google => "GOOGLE_",
        Cloud::Azure => "AZURE_",
    }
}

/// Whether an option of this name, as a file or a variable writes it, is a secret to a cloud's client.
pub(super) fn is_secret(cloud: Cloud, name: &str) -> bool {
    matches!(
        kind(cloud, &name.to_ascii_lowercase()),
        Some(Kind::Secret(_))
    )
}

/// Whether nothing can set an option of this name, whether a file or a variable writes it.
pub(super) fn is_fixed(cloud: Cloud, name: &str) -> bool {
    matches!(
        kind(cloud, &name.to_ascii_lowercase()),
        Some(Kind::Fixed(_))
    )
}

const fn examples(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => "region, virtual_hosted_style_request",
        Cloud::Google => "service_account, skip_signature",
        Cloud::Azure => "account_name, use_emulator",
    }
}

fn kind(cloud: Cloud, name: &str) -> Option<Kind> {
    match cloud {
        Cloud::S3 => name.parse().ok().map(of_s3),
        Cloud::Google => name.parse().ok().map(of_google),
        Cloud::Azure => name.parse().ok().map(of_azure),
    }
}

fn of_s3(key: AmazonS3ConfigKey) -> Kind {
    use AmazonS3ConfigKey as Key;
    match key {
        Key::SecretAccessKey | Key::Token => secret(key),
        Key::Bucket => BUCKET,
        Key::Endpoint | Key::S3Endpoint => ENDPOINT,
        // Another way than by `If-None-Match` would write what is there, or nothing.
        Key::ConditionalPut | Key::CopyIfNotExists => Kind::Fixed(
            "the store writes what is absent, and asks the server itself whether it can",
        ),
        Key::Client(key) => of_client(key),
        // The crate does not export the type of this one.
        key if key.as_ref() == "aws_sse_customer_key_base64" => secret(key),
        _ => Kind::Free,
    }
}

fn of_google(key: GoogleConfigKey) -> Kind {
    use GoogleConfigKey as Key;
    match key {
        Key::ServiceAccountKey | Key::BearerToken => secret(key),
        Key::Bucket => BUCKET,
        Key::BaseUrl => ENDPOINT,
        Key::Client(key) => of_client(key),
        _ => Kind::Free,
    }
}

fn of_azure(key: AzureConfigKey) -> Kind {
    use AzureConfigKey as Key;
    match key {
        Key::AccessKey
        | Key::ClientSecret
        | Key::SasKey
        | Key::Token
        | Key::EncryptionKey
        | Key::FabricSessionToken => secret(key),
        Key::ContainerName => BUCKET,
        Key::Endpoint => ENDPOINT,
        Key::Client(key) => of_client(key),
        _ => Kind::Free,
    }
}

const BUCKET: Kind = Kind::Elsewhere("store.url");
const ENDPOINT: Kind = Kind::Elsewhere("store.endpoint");

/// The client is our own, and takes no others.
const fn of_client(key: ClientConfigKey) -> Kind {
    use ClientConfigKey as Key;
    match key {
        Key::AllowHttp => ENDPOINT,
        Key::Timeout | Key::ConnectTimeout | Key::ReadTimeout => Kind::Elsewhere("store.timeout"),
        Key::ProxyUrl | Key::ProxyExcludes => {
            Kind::Elsewhere("the variables HTTPS_PROXY and NO_PROXY")
        }
        _ => Kind::Fixed("of a connection only store.timeout can be"),
    }
}

fn secret(key: impl AsRef<str>) -> Kind {
    Kind::Secret(key.as_ref().to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_any_cloud_can_stand_in_a_file() {
        for name in [
            "region",
            "aws_region",
            "virtual_hosted_style_request",
            "access_key_id",
            "account_name",
            "azure_storage_account_name",
            "use_emulator",
            "service_account",
            "google_skip_signature",
        ] {
            assert_eq!(refusal(name), None, "{name}");
        }
    }

    #[test]
    fn a_secret_is_led_to_its_variable() {
        for (name, variable) in [
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            ("aws_sse_customer_key_base64", "AWS_SSE_CUSTOMER_KEY_BASE64"),
            ("account_key", "AZURE_STORAGE_ACCOUNT_KEY"),
            ("azure_storage_sas_token", "AZURE_STORAGE_SAS_KEY"),
            ("service_account_key", "GOOGLE_SERVICE_ACCOUNT_KEY"),
        ] {
            let refused = refusal(name).unwrap();
            let expected = format!("a secret, expected it in the variable {variable} instead");
            assert!(refused.contains(&expected), "{refused}");
        }
    }

    #[test]
    fn what_another_key_says_and_what_nobody_knows_is_refused() {
        for (name, expected) in [
            ("container_name", "expected store.url instead"),
            ("google_base_url", "expected store.endpoint instead"),
            ("aws_allow_http", "expected store.endpoint instead"),
            ("connect_timeout", "expected store.timeout instead"),
            (
                "proxy_url",
                "expected the variables HTTPS_PROXY and NO_PROXY",
            ),
            (
                "user_agent",
                "it cannot be set: of a connection only store.timeout",
            ),
            (
                "conditional_put",
                "it cannot be set: the store writes what is absent",
            ),
            (
                "aws_copy_if_not_exists",
                "it cannot be set: the store writes",
            ),
            ("regoin", "unknown option, expected one that the crate"),
        ] {
            let refused = refusal(name).unwrap();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }

    #[test]
    fn an_option_of_another_cloud_is_wrong() {
        let options = ["account_name", "skip_signature"];
        let options = CloudOptions(options.map(|name| (name.into(), "x".into())).into());
        assert_eq!(options.wrong_for(Cloud::Azure), [""; 0]);
        let wrong = options.wrong_for(Cloud::Google);
        let expected = "account_name: no option of Google Cloud Storage, expected one such as service_account, skip_signature";
        assert_eq!(wrong, [expected]);
    }

    #[test]
    fn one_option_by_two_names_is_wrong_where_they_differ() {
        let of = |options: [(&str, &str); 2]| {
            let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
            CloudOptions(options.into()).wrong_for(Cloud::S3)
        };
        assert_eq!(
            of([("region", "here"), ("aws_region", "there")]),
            [
                "aws_region: it is the same option as region, with another value: expected one of them"
            ]
        );
        assert_eq!(of([("region", "here"), ("aws_region", "here")]), [""; 0]);
        assert_eq!(of([("region", "here"), ("role_arn", "there")]), [""; 0]);
    }
}
