//! The client of a bucket, by the `object_store` crate: what the endpoint, the options and the variables of the environment make of it.
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
use super::options;
use super::told::{Teller, reason};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Connects to nothing. `teller` knows the secrets among the settings.
///
/// # Errors
/// What is wrong with the settings.
pub(super) fn build(
    cloud: Cloud,
    url: &str,
    config: &StoreConfig,
    teller: &Teller,
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
    let prefix = options::variables_of(cloud);
    if let Some(name) = broken_over_lines(cloud, prefix, config) {
        return Err(format!(
            "{name}: expected text without line ends and other control characters"
        ));
    }
    let built = match cloud {
        Cloud::S3 => {
            let (endpoint, plain) = (AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::Client);
            let settings = settings(config, cloud, endpoint, plain);
            let builder = settings.fold(AmazonS3Builder::new(), |it, (key, value)| {
                it.with_config(key, value)
            });
            let builder = builder.with_http_connector(connector).with_retry(retry);
            builder.with_url(url).build().map(shared)
        }
        Cloud::Google => {
            let (endpoint, plain) = (GoogleConfigKey::BaseUrl, GoogleConfigKey::Client);
            let settings = settings(config, cloud, endpoint, plain);
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
            let settings = settings(config, cloud, endpoint, plain);
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
    built.map_err(|error| teller.hide(&wrong_setting(&reason(&error), prefix, config)))
}

/// What the crate says where a setting is missing, and what to set then.
const MISSING: [(&str, &str); 3] = [
    (
        "Missing SecretAccessKey",
        "there is an access_key_id and no secret: set the variable AWS_SECRET_ACCESS_KEY",
    ),
    (
        "Missing AccessKeyId",
        "there is AWS_SECRET_ACCESS_KEY and no id: set store.options.access_key_id or the variable AWS_ACCESS_KEY_ID",
    ),
    (
        "Account must be specified",
        "no account is named: set store.options.account_name or the variable AZURE_STORAGE_ACCOUNT_NAME",
    ),
];

/// What a builder says against its settings, with the setting that it means.
fn wrong_setting(error: &str, variables: &str, config: &StoreConfig) -> String {
    // It names itself first: `Generic S3 error: `.
    let generic = error.strip_prefix("Generic ");
    let reason = generic.and_then(|it| it.split_once(" error: "));
    let reason = reason.map_or(error, |(_, reason)| reason);
    if let Some((_, to_do)) = MISSING.iter().find(|(said, _)| *said == reason) {
        return (*to_do).to_owned();
    }
    // Of a value that it cannot read it says the value alone.
    let is_meant = |value: &str| reason.contains(&format!("\"{value}\""));
    let options = config.options.0.iter();
    let options = options.filter(|(_, value)| is_meant(value));
    let mut meant: Vec<String> = options
        .map(|(name, _)| format!("store.options.{name}"))
        .collect();
    if meant.is_empty() {
        let variables = config
            .variables
            .0
            .iter()
            .filter(|(name, value)| name.starts_with(variables) && is_meant(value));
        meant.extend(variables.map(|(name, _)| name.clone()));
    }
    match meant.is_empty() {
        true => reason.to_owned(),
        false => format!("{}: {reason}", meant.join(" or ")),
    }
}

/// The setting of a cloud whose value cannot stand in the field of a head, which the crate takes for granted of most. Keys of
/// service accounts are JSON, of several lines.
fn broken_over_lines(cloud: Cloud, prefix: &str, config: &StoreConfig) -> Option<String> {
    let is_broken = |value: &str| {
        let value = value.trim();
        value.contains(char::is_control) && !value.starts_with('{')
    };
    let variables = config.variables.0.iter();
    let variables = variables.filter(|(name, _)| name.starts_with(prefix));
    let variables = variables.filter(|(name, _)| options::is_known(cloud, name));
    let variables = variables.map(|(name, value)| (name.clone(), value));
    let options = config.options.0.iter();
    let options = options.map(|(name, value)| (format!("store.options.{name}"), value));
    let mut all = variables.chain(options);
    all.find(|(_, value)| is_broken(value))
        .map(|(name, _)| name)
}

/// As the crate reads what is true or not.
fn is_true(text: String) -> bool {
    ["1", "true", "on", "yes", "y"].contains(&&*text.to_ascii_lowercase())
}

fn shared(store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    Arc::new(store)
}

/// What a builder is told, the later before the earlier: what the variables of a cloud say, what the options do, and where the server is.
/// A variable that says how objects are written was set for another program: it is ignored.
fn settings<K: FromStr>(
    config: &StoreConfig,
    cloud: Cloud,
    endpoint: K,
    plain: fn(ClientConfigKey) -> K,
) -> impl Iterator<Item = (K, &str)> {
    let variables = config.variables.0.iter();
    let variables = variables.filter(move |(name, _)| {
        name.starts_with(options::variables_of(cloud)) && !options::is_fixed(cloud, name)
    });
    let told = variables.chain(&config.options.0);
    let told = told.filter_map(|(name, value)| {
        // A secret that was made from a file often has that file's last line end.
        Some((name.to_ascii_lowercase().parse().ok()?, value.trim()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CloudOptions, CloudVariables};

    fn pairs(texts: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = texts.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn wrong(cloud: Cloud, url: &str, config: &StoreConfig) -> Option<String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        build(cloud, url, config, &Teller::new(cloud, config)).err()
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
        let expected = "no account is named: set store.options.account_name or the variable AZURE_STORAGE_ACCOUNT_NAME";
        assert_eq!(error, expected);
        let error = new(Cloud::S3, "s3://b", &[("AWS_ACCESS_KEY_ID", "id")]).unwrap();
        assert!(
            error.ends_with("set the variable AWS_SECRET_ACCESS_KEY"),
            "{error}"
        );
        let error = new(Cloud::S3, "s3://b", &[("AWS_SECRET_ACCESS_KEY", "hush")]).unwrap();
        let expected = "set store.options.access_key_id or the variable AWS_ACCESS_KEY_ID";
        assert!(error.ends_with(expected), "{error}");
        let key = [("GOOGLE_SERVICE_ACCOUNT", "/none/of/this.json")];
        let error = new(Cloud::Google, "gs://bucket", &key).unwrap();
        assert!(error.contains("/none/of/this.json"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_by_its_option_or_variable() {
        let region = [("region", "maybe-not")];
        let option = [("unsigned_payload", "maybe")];
        let variable = [("AWS_UNSIGNED_PAYLOAD", "maybe"), ("GOOGLE_X", "maybe")];
        for (options, variables, name) in [
            (&option, &variable[1..], "store.options.unsigned_payload"),
            (&region, &variable[..], "AWS_UNSIGNED_PAYLOAD"),
        ] {
            let config = StoreConfig {
                options: CloudOptions(pairs(options)),
                variables: CloudVariables(pairs(variables)),
                ..StoreConfig::default()
            };
            let error = wrong(Cloud::S3, "s3://bucket", &config).unwrap();
            let expected = format!("{name}: failed to parse \"maybe\" as boolean");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_value_of_several_lines_is_named_and_the_last_line_end_is_none_of_it() {
        let with = |key: &str| StoreConfig {
            variables: CloudVariables(pairs(&[
                ("AWS_ACCESS_KEY_ID", key),
                ("AWS_SECRET_ACCESS_KEY", "x"),
                ("AWS_NOTHING_OF_OURS", "two\nlines"),
            ])),
            options: CloudOptions(pairs(&[("region", "eu\n")])),
            ..StoreConfig::default()
        };
        assert_eq!(wrong(Cloud::S3, "s3://b", &with("ours\n")), None);
        let expected =
            "AWS_ACCESS_KEY_ID: expected text without line ends and other control characters";
        let said = wrong(Cloud::S3, "s3://b", &with("ours\nand more"));
        assert_eq!(said.as_deref(), Some(expected));
        let config = StoreConfig {
            options: CloudOptions(pairs(&[("account_name", "a\tb")])),
            ..StoreConfig::default()
        };
        let said = wrong(Cloud::Azure, "az://c", &config).unwrap();
        assert!(said.starts_with("store.options.account_name: "), "{said}");
        let config = StoreConfig {
            options: CloudOptions(pairs(&[("service_account", "{\n}")])),
            ..StoreConfig::default()
        };
        let said = wrong(Cloud::Google, "gs://b", &config).unwrap();
        assert!(!said.contains("control characters"), "{said}");
    }

    #[test]
    fn how_objects_are_written_no_variable_says() {
        let with = |value: &str| StoreConfig {
            variables: CloudVariables(pairs(&[
                ("AWS_CONDITIONAL_PUT", value),
                ("AWS_COPY_IF_NOT_EXISTS", value),
            ])),
            ..StoreConfig::default()
        };
        let built = |value| {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let config = with(value);
            let teller = Teller::new(Cloud::S3, &config);
            let store = build(Cloud::S3, "s3://b", &config, &teller).unwrap();
            format!("{store:?}").contains("conditional_put: ETagMatch")
        };
        assert!(built("disabled") && built("no way at all"));
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
