//! The client of a bucket, by the `object_store` crate: what the endpoint, the options and the variables of the environment make of it, and
//! what its errors say.
//!
//! Without any of them a client takes what the machines of its cloud are given.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{ClientConfigKey, HttpClient, HttpConnector};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, RetryConfig, StaticCredentialProvider,
};

use super::StoreConfig;
use super::location::Cloud;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Most characters of what a server says of an error.
const ERROR_CHARS: usize = 300;

/// Connects to nothing.
///
/// # Errors
/// What is wrong with the settings.
pub(super) fn build(
    cloud: Cloud,
    url: &str,
    config: &StoreConfig,
) -> Result<Arc<dyn ObjectStore>, String> {
    let wrong = config.options.wrong_for(cloud);
    if !wrong.is_empty() {
        return Err(format!("store.options.{}", wrong.join("; ")));
    }
    let connector = Connector {
        timeout: config.timeout,
    };
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 0,
        retry_timeout: config.timeout,
    };
    let built = match cloud {
        Cloud::S3 => {
            let (endpoint, plain) = (AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::Client);
            let settings = settings(config, "AWS_", endpoint, plain);
            let builder = settings.fold(AmazonS3Builder::new(), |it, (key, value)| {
                it.with_config(key, value)
            });
            let builder = builder.with_http_connector(connector).with_retry(retry);
            builder.with_url(url).build().map(shared)
        }
        Cloud::Google => {
            let (endpoint, plain) = (GoogleConfigKey::BaseUrl, GoogleConfigKey::Client);
            let settings = settings(config, "GOOGLE_", endpoint, plain);
            // By itself it speaks plain HTTP to whatever a file or a variable names.
            let builder = GoogleCloudStorageBuilder::new()
                .with_config(plain(ClientConfigKey::AllowHttp), "false");
            let builder = settings.fold(builder, |it, (key, value)| it.with_config(key, value));
            let mut builder = builder.with_http_connector(connector).with_retry(retry);
            let skips = builder.get_config_value(&GoogleConfigKey::SkipSignature);
            if skips.is_some_and(is_true) {
                // What writes asks for a token all the same (object_store 0.14.2), and so the machine's metadata server.
                let nobody = GcpCredential {
                    bearer: String::new(),
                };
                builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(nobody)));
            }
            builder.with_url(url).build().map(shared)
        }
        Cloud::Azure => {
            let (endpoint, plain) = (AzureConfigKey::Endpoint, AzureConfigKey::Client);
            let settings = settings(config, "AZURE_", endpoint, plain);
            let builder = settings.fold(MicrosoftAzureBuilder::new(), |it, (key, value)| {
                it.with_config(key, value)
            });
            let builder = builder.with_http_connector(connector).with_retry(retry);
            let uses_emulator = builder.get_config_value(&AzureConfigKey::UseEmulator);
            if config.endpoint.is_some() && uses_emulator.is_some_and(is_true) {
                return Err(
                    "expected store.endpoint or use_emulator, and there are both: the emulator's address is that of the variable \
                     AZURITE_BLOB_STORAGE_URL"
                        .to_owned(),
                );
            }
            builder.with_url(url).build().map(shared)
        }
    };
    built.map_err(|error| told(&error))
}

/// As the crate reads what is true or not.
fn is_true(text: String) -> bool {
    ["1", "true", "on", "yes", "y"].contains(&&*text.to_ascii_lowercase())
}

fn shared(store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    Arc::new(store)
}

/// What a builder is told, the later before the earlier: what the variables of a cloud say, what the options do, and where the server is.
fn settings<'c, K: FromStr>(
    config: &'c StoreConfig,
    prefix: &'static str,
    endpoint: K,
    plain: fn(ClientConfigKey) -> K,
) -> impl Iterator<Item = (K, &'c str)> {
    let variables = config.variables.0.iter();
    let variables = variables.filter(move |(name, _)| name.starts_with(prefix));
    let told = variables.chain(&config.options.0);
    let told = told.filter_map(|(name, value)| {
        Some((name.to_ascii_lowercase().parse().ok()?, value.as_str()))
    });
    let at = config.endpoint.as_deref().map(|url| (endpoint, url));
    let is_plain = |url: &&str| url.starts_with("http://");
    let may_be_plain = config.endpoint.as_deref().filter(is_plain);
    let may_be_plain = may_be_plain.map(|_| (plain(ClientConfigKey::AllowHttp), "true"));
    told.chain(at).chain(may_be_plain)
}

/// Makes the clients of the crate, and of those from whom it has credentials.
#[derive(Debug, Clone, Copy)]
struct Connector {
    timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let may_be_plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let client = reqwest::Client::builder()
            // What is sent is what was said, and so nothing for another place that a server names.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(self.timeout)
            .connect_timeout(CONNECT.min(self.timeout))
            .https_only(may_be_plain.as_deref() != Some("true"))
            .http1_only();
        let client = client.build().map_err(|error| Error::Generic {
            store: "HTTP",
            source: Box::new(error),
        });
        client.map(HttpClient::new)
    }
}

/// What reqwest says where a URL is not https and must be.
const NOT_PLAIN: &str = "URL scheme is not allowed";

/// What is told of an error: its reason, and of what a server says of it, which is XML, code and message.
pub(super) fn told(error: &Error) -> String {
    let text = error.to_string();
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
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
    let cause = cause.to_string();
    if !text.contains(&cause) && !cause.contains('<') {
        reason = format!("{reason}: {cause}");
    }
    if cause == NOT_PLAIN {
        reason.push_str(": expected https, or the http URL in store.endpoint");
    }
    match reason.char_indices().nth(ERROR_CHARS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

/// What stands in the first element of a name.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split('<').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CloudOptions, CloudVariables};

    fn failed(text: &str) -> Error {
        Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    #[test]
    fn of_an_error_its_reason_is_told() {
        let text = "Error performing PUT http://a/b.json in 2ms - Server returned non-2xx status code: 404 Not Found: \
            <?xml version='1.0'?>\n<Error><Code>NoSuchBucket</Code><Message>The bucket is not there</Message>\
            <AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        let expected = "Server returned non-2xx status code: 404 Not Found: NoSuchBucket: The bucket is not there";
        assert_eq!(told(&failed(text)), expected);
        let long = told(&failed(&"é".repeat(ERROR_CHARS)));
        assert_eq!(long.chars().count(), ERROR_CHARS + 1);
    }

    fn pairs(texts: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = texts.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn wrong(cloud: Cloud, url: &str, config: &StoreConfig) -> Option<String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        build(cloud, url, config).err()
    }

    #[test]
    fn what_is_wrong_with_the_settings_is_said() {
        let new = |cloud, url: &str, variables: &[(&str, &str)]| {
            let config = StoreConfig {
                variables: CloudVariables(pairs(variables)),
                ..StoreConfig::default()
            };
            wrong(cloud, url, &config)
        };
        assert_eq!(
            new(Cloud::S3, "s3://bucket", &[("AWS_REGION", "eu-central-1")]),
            None
        );
        let key = [("AZURE_STORAGE_ACCOUNT_NAME", "me")];
        assert_eq!(new(Cloud::Azure, "az://container", &key), None);
        assert_eq!(new(Cloud::Google, "gs://bucket", &[]), None);
        let error = new(Cloud::Azure, "az://container", &[]).unwrap();
        assert!(error.contains("ccount"), "{error}");
        let key = [("GOOGLE_SERVICE_ACCOUNT", "/none/of/this.json")];
        let error = new(Cloud::Google, "gs://bucket", &key).unwrap();
        assert!(error.contains("/none/of/this.json"), "{error}");
    }

    #[test]
    fn options_go_before_variables_and_are_those_of_the_cloud() {
        let with = |options: &[(&str, &str)]| StoreConfig {
            variables: CloudVariables(pairs(&[("GOOGLE_SERVICE_ACCOUNT", "/by/variable.json")])),
            options: CloudOptions(pairs(options)),
            ..StoreConfig::default()
        };
        let config = with(&[("service_account", "/by/option.json")]);
        let error = wrong(Cloud::Google, "gs://bucket", &config).unwrap();
        assert!(error.contains("/by/option.json"), "{error}");
        let config = with(&[("use_emulator", "true")]);
        assert_eq!(wrong(Cloud::Azure, "az://container", &config), None);
        let error = wrong(Cloud::Google, "gs://bucket", &config).unwrap();
        let expected = "store.options.use_emulator: no option of Google Cloud Storage";
        assert!(error.starts_with(expected), "{error}");
        let config = StoreConfig {
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            ..config
        };
        let error = wrong(Cloud::Azure, "az://container", &config).unwrap();
        assert!(
            error.starts_with("expected store.endpoint or use_emulator"),
            "{error}"
        );
    }
}
