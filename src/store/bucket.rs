//! A bucket of S3, of Google Cloud Storage or of Azure, by the `object_store` crate. It asks with conditional requests, so that what is
//! there is not written again.
//!
//! Attempts are counted by whoever asks: the crate makes one.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode};
use tokio::runtime::{self, Runtime};
use tokio::task::JoinSet;

use super::client::build;
use super::location::Cloud;
use super::outcome::{Put, StoreError};
use super::prefix::HashPrefix;
use super::told::Teller;
use super::{StoreConfig, key, renewed_after};
use crate::exchange::{ContentHash, StoredObject};

/// Requests at the same time.
const AT_ONCE: usize = 16;

/// What is said of a request in which the client of the bucket panicked.
const PANICKED: &str = "the bucket's client panicked; a line of the log says where";

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
    teller: Arc<Teller>,
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
        let teller = Teller::new(cloud, config);
        let store = build(cloud, url, config, &teller)?;
        let asker = Asker {
            store,
            teller: Arc::new(teller),
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
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => return vec![Err(error.to_string()); objects.len()],
        };
        let putting = objects.iter().cloned().map(|object| {
            let asker = asker.clone();
            async move { asker.put(object, within()).await }
        });
        runtime.block_on(until_one_fails(putting))
    }

    pub(super) fn get(&mut self, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
        let asker = self.asker.clone();
        match self.ask(asker.get(hash))? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(self.asker.teller.told(&error))),
        }
    }

    pub(super) fn beginning_with(
        &mut self,
        prefix: &HashPrefix,
    ) -> Result<Vec<ContentHash>, StoreError> {
        let asker = self.asker.clone();
        let names = self.ask(asker.beginning_with(prefix))?;
        names.map_err(|error| self.failed(self.asker.teller.told(&error)))
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
            Ok(outcome) => outcome.map_err(|error| self.teller.told(&error)),
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

/// Does what is asked, several at a time. Once one has failed no others are begun, which is `Ok(None)`.
async fn until_one_fails<F>(
    asked: impl ExactSizeIterator<Item = F>,
) -> Vec<Result<Option<Put>, String>>
where
    F: Future<Output = Result<Put, String>> + Send + 'static,
{
    let mut outcomes = vec![Ok(None); asked.len()];
    let mut rest = asked.enumerate();
    let mut begun = JoinSet::new();
    let mut places = HashMap::new();
    let mut has_failed = false;
    loop {
        while begun.len() < AT_ONCE
            && !has_failed
            && let Some((at, one)) = rest.next()
        {
            places.insert(begun.spawn(one).id(), at);
        }
        let (task, outcome) = match begun.join_next_with_id().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => (error.id(), Err(PANICKED.to_owned())),
            None => return outcomes,
        };
        has_failed |= outcome.is_err();
        if let Some(at) = places.remove(&task) {
            outcomes[at] = outcome.map(Some);
        }
    }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. })
        || error.to_string().contains("501 Not Implemented")
}

fn late(after: Duration) -> String {
    format!("no answer within {after:?}")
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;

    type Asked = Pin<Box<dyn Future<Output = Result<Put, String>> + Send>>;

    #[tokio::test]
    async fn what_panics_has_failed_and_what_waits_behind_it_is_not_begun() {
        let good = || -> Asked { Box::pin(async { Ok(Put::Written) }) };
        let bad: Asked = Box::pin(async { panic!("it cannot be asked") });
        let mut asked = vec![good(), bad];
        asked.extend((0..AT_ONCE).map(|_| good()));
        let outcomes = until_one_fails(asked.into_iter()).await;
        assert_eq!(outcomes[0], Ok(Some(Put::Written)));
        assert_eq!(outcomes[1], Err(PANICKED.to_owned()));
        assert_eq!(outcomes.last(), Some(&Ok(None)));
    }
}
