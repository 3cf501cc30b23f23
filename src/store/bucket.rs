//! A bucket of S3, of Google Cloud Storage or of Azure, by the `object_store` crate. It asks with conditional requests, so that what is
//! there is not written again.
//!
//! Credentials and endpoints are what the usual variables of the cloud say, or what its machines are given. Attempts are counted by
//! whoever asks: the crate makes one.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{ClientConfigKey, HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMode, RetryConfig,
};
use tokio::runtime::{self, Runtime};
use tokio::task::JoinSet;

use super::location::Cloud;
use super::outcome::{Put, StoreError};
use super::prefix::HashPrefix;
use super::{CloudVariables, StoreConfig, key, renewed_after};
use crate::exchange::{ContentHash, StoredObject};

/// Requests at the same time.
const AT_ONCE: usize = 16;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Most characters of what a server says of an error.
const ERROR_CHARS: usize = 300;

/// The bucket.
pub(super) struct Bucket {
    asker: Asker,
    timeout: Duration,
    /// Made by the thread that asks: a runtime must not end within another.
    runtime: Option<Runtime>,
    location: String,
}

/// What a request needs.
#[derive(Clone)]
struct Asker {
    store: Arc<dyn ObjectStore>,
    prefix: Arc<str>,
    renewed_after: Option<Duration>,
    /// Whether the server knows no conditional writing.
    overwrites: Arc<AtomicBool>,
}

impl Bucket {
    /// Connects to nothing.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(super) fn new(
        cloud: Cloud,
        url: &str,
        prefix: &str,
        config: &StoreConfig,
    ) -> Result<Self, String> {
        let store = build(cloud, url, config).map_err(|error| told(&error))?;
        let asker = Asker {
            store,
            prefix: prefix.into(),
            renewed_after: config.keep.map(renewed_after),
            overwrites: Arc::default(),
        };
        Ok(Self {
            asker,
            timeout: config.timeout,
            runtime: None,
            location: format!("{url}/{prefix}"),
        })
    }

    fn runtime(&mut self) -> io::Result<&Runtime> {
        if self.runtime.is_none() {
            let mut builder = runtime::Builder::new_current_thread();
            self.runtime = Some(builder.enable_all().build()?);
        }
        Ok(self.runtime.as_ref().expect("it was made above"))
    }

    /// Stores objects, several at a time. Once one has failed no others are begun, which is `Ok(None)`: a server that is gone
    /// is not asked a thousand times.
    pub(super) fn put_all(
        &mut self,
        objects: &[StoredObject],
        until: Option<Instant>,
    ) -> Vec<Result<Option<Put>, String>> {
        let (asker, timeout) = (self.asker.clone(), self.timeout);
        let within = move || {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            left.map_or(timeout, |left| left.min(timeout))
        };
        let mut outcomes: Vec<Result<Option<Put>, String>> = vec![Ok(None); objects.len()];
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => return vec![Err(error.to_string()); objects.len()],
        };
        runtime.block_on(async {
            let mut asked = JoinSet::new();
            let mut rest = objects.iter().cloned().enumerate();
            let mut has_failed = false;
            loop {
                while asked.len() < AT_ONCE
                    && !has_failed
                    && let Some((at, object)) = rest.next()
                {
                    let (asker, within) = (asker.clone(), within());
                    asked.spawn(async move { (at, asker.put(object, within).await) });
                }
                match asked.join_next().await {
                    Some(Ok((at, outcome))) => {
                        has_failed |= outcome.is_err();
                        outcomes[at] = outcome.map(Some);
                    }
                    // It panicked: which of them is not known, and none of them is lost.
                    Some(Err(_)) => has_failed = true,
                    None => break,
                }
            }
        });
        outcomes
    }

    pub(super) fn get(&mut self, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        let asker = self.asker.clone();
        match self.ask(asker.get(hash))? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(told(&error))),
        }
    }

    pub(super) fn beginning_with(
        &mut self,
        prefix: &HashPrefix,
    ) -> Result<Vec<ContentHash>, StoreError> {
        let asker = self.asker.clone();
        let names = self.ask(asker.beginning_with(prefix))?;
        names.map_err(|error| self.failed(told(&error)))
    }

    /// Waits for an answer, for as long as one may take.
    fn ask<A>(&mut self, asking: impl Future<Output = A>) -> Result<A, StoreError> {
        let timeout = self.timeout;
        let answer = self
            .runtime()
            .map(|runtime| runtime.block_on(async { tokio::time::timeout(timeout, asking).await }));
        let answer = answer.map_err(|error| self.failed(error.to_string()))?;
        answer.map_err(|_| self.failed(late(timeout)))
    }

    fn failed(&self, error: String) -> StoreError {
        let location = self.location.clone();
        StoreError::Bucket { location, error }
    }
}

impl Asker {
    fn path(&self, hash: ContentHash) -> Path {
        Path::from(format!("{}/{}", self.prefix, key(hash)))
    }

    async fn put(&self, object: StoredObject, within: Duration) -> Result<Put, String> {
        match tokio::time::timeout(within, self.put_unless_there(object)).await {
            Err(_) => Err(late(within)),
            Ok(outcome) => outcome.map_err(|error| told(&error)),
        }
    }

    async fn put_unless_there(&self, object: StoredObject) -> object_store::Result<Put> {
        let path = self.path(object.hash);
        if !self.overwrites.load(Ordering::Relaxed) {
            let put = self
                .store
                .put_opts(&path, object.bytes.clone().into(), PutMode::Create.into())
                .await;
            match put {
                Ok(_) => return Ok(Put::Written),
                Err(Error::AlreadyExists { .. }) => {
                    let Some(after) = self.renewed_after else {
                        return Ok(Put::There);
                    };
                    let found = self.store.head(&path).await?;
                    let age = SystemTime::now().duration_since(found.last_modified.into());
                    if age.unwrap_or_default() < after {
                        return Ok(Put::There);
                    }
                }
                // Some that speak the protocol of S3 do not know it. What is written says the same.
                Err(error) if is_unknown(&error) => self.overwrites.store(true, Ordering::Relaxed),
                Err(error) => return Err(error),
            }
        }
        self.store.put(&path, object.bytes.into()).await?;
        Ok(Put::Written)
    }

    async fn beginning_with(&self, prefix: &HashPrefix) -> object_store::Result<Vec<ContentHash>> {
        let folder = Path::from(format!("{}/{}", self.prefix, prefix.folder()));
        let listed = self.store.list_with_delimiter(Some(&folder)).await?;
        let names = listed
            .objects
            .iter()
            .filter_map(|it| it.location.filename());
        Ok(names.filter_map(|name| prefix.hash_of_file(name)).collect())
    }

    async fn get(&self, hash: ContentHash) -> object_store::Result<Vec<u8>> {
        let found = self.store.get(&self.path(hash)).await?;
        Ok(found.bytes().await?.into())
    }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. })
        || error.to_string().contains("501 Not Implemented")
}

fn build(
    cloud: Cloud,
    url: &str,
    config: &StoreConfig,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let connector = Connector {
        timeout: config.timeout,
    };
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 0,
        retry_timeout: config.timeout,
    };
    Ok(match cloud {
        Cloud::S3 => {
            let builder = AmazonS3Builder::new()
                .with_http_connector(connector)
                .with_retry(retry);
            let told = settings(&config.variables, "AWS_");
            let builder = told.fold(builder, |it, (key, value)| it.with_config(key, value));
            Arc::new(builder.with_url(url).build()?)
        }
        Cloud::Google => {
            let builder = GoogleCloudStorageBuilder::new()
                .with_http_connector(connector)
                .with_retry(retry);
            let told = settings(&config.variables, "GOOGLE_");
            let builder = told.fold(builder, |it, (key, value)| it.with_config(key, value));
            Arc::new(builder.with_url(url).build()?)
        }
        Cloud::Azure => {
            let builder = MicrosoftAzureBuilder::new()
                .with_http_connector(connector)
                .with_retry(retry);
            let told = settings(&config.variables, "AZURE_");
            let builder = told.fold(builder, |it, (key, value)| it.with_config(key, value));
            Arc::new(builder.with_url(url).build()?)
        }
    })
}

/// What variables of a cloud say, as its builder has it.
fn settings<'v, K: FromStr>(
    variables: &'v CloudVariables,
    prefix: &'static str,
) -> impl Iterator<Item = (K, &'v str)> {
    let ours = variables.0.iter();
    let ours = ours.filter(move |(name, _)| name.starts_with(prefix));
    ours.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, &**value)))
}

fn late(after: Duration) -> String {
    format!("no answer within {after:?}")
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

/// What is told of an error: its reason, and of what a server says of it, which is XML, code and message.
fn told(error: &Error) -> String {
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

    #[test]
    fn what_is_wrong_with_the_settings_is_said() {
        let new = |cloud, url: &str, variables: &[(&str, &str)]| {
            let variables = variables.iter();
            let variables = variables.map(|(name, value)| ((*name).into(), (*value).into()));
            let config = StoreConfig {
                variables: CloudVariables(variables.collect()),
                ..StoreConfig::default()
            };
            Bucket::new(cloud, url, "", &config).err()
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
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
}
