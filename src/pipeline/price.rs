//! Works out what an exchange costs.
//!
//! The price is that of the model and the tier that the response names, not of what was asked for. A model without a price is
//! counted as such, never as free.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io, iter};

use foldhash::fast::RandomState;
use rust_decimal::Decimal;

use super::{Finished, Stage};
use crate::exchange::{Cost, Endpoint, Exchange, Price, Unpriced, Upstream, Usage};
use crate::prices::{
    Catalogue, Counts, Entry, NotFound, OwnPrices, OwnProblem, Priced, Unpriced as NoAmount, Wanted,
};

/// What prices are worked out from, beside the catalogue that comes with the program.
#[derive(Debug, Clone, Default)]
pub struct PriceConfig {
    /// The file that the user's own prices were read from.
    pub file: Option<PathBuf>,
    /// The user's own prices.
    pub own: CurrentPrices,
    /// What is known of each upstream, by its name.
    pub upstreams: HashMap<Arc<str>, PricedUpstream>,
}

/// The user's own prices as they are now. Clones are of the same.
#[derive(Debug, Clone, Default)]
pub struct CurrentPrices(Arc<Mutex<Arc<OwnPrices>>>);

impl From<OwnPrices> for CurrentPrices {
    fn from(prices: OwnPrices) -> Self {
        Self(Arc::new(Mutex::new(prices.into())))
    }
}

impl CurrentPrices {
    /// A poisoned lock still holds prices: they are changed as one.
    fn lock(&self) -> MutexGuard<'_, Arc<OwnPrices>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the file of the user's own prices could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum PriceFileError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// Something in it is wrong.
    #[error(transparent)]
    Wrong(#[from] OwnProblem),
    /// There is nothing in it any more.
    #[error("expected prices ([[price]]) as there were before, and there is none")]
    Empty,
}

impl PriceConfig {
    /// What is no error in the user's own prices, and was most likely not meant.
    #[must_use]
    pub fn oddities(&self) -> Vec<String> {
        let own = self.own.lock();
        let catalogue = Catalogue::bundled();
        let of_nobody = own.upstreams().filter(|(name, _)| !self.knows(name));
        let mut known: Vec<&str> = self.upstreams.keys().map(|name| &**name).collect();
        known.sort_unstable();
        let of_nobody = of_nobody.map(|(name, model)| {
            format!(
                "the price of {model} is for upstream {name}, and no call has it: expected one of the upstreams ({}), or a provider of \
                 the catalogue",
                known.join(", ")
            )
        });
        of_nobody.chain(catalogue.oddities(&own)).collect()
    }

    /// Whether an upstream or a provider has this name, which is in lower case.
    fn knows(&self, name: &str) -> bool {
        let is_called = |other: &str| other.eq_ignore_ascii_case(name);
        let mut upstreams = self.upstreams.iter();
        upstreams.any(|(upstream, known)| {
            is_called(upstream) || known.provider.as_deref().is_some_and(is_called)
        }) || Catalogue::bundled().has_provider(name)
    }

    /// Reads the file of the user's own prices again, if there is one: calls that end from then on have the new ones.
    /// Blocks while it reads.
    ///
    /// # Errors
    /// When it cannot be read, or has something wrong in it; then the prices stay as they were.
    pub fn renew(&self) -> Result<(), PriceFileError> {
        if let Some(file) = &self.file {
            let text = fs::read_to_string(file)?;
            let prices = Catalogue::bundled().read_own(&text)?;
            let mut own = self.own.lock();
            // Most likely it is just being written.
            if prices.is_empty() && !own.is_empty() {
                return Err(PriceFileError::Empty);
            }
            *own = prices.into();
        }
        Ok(())
    }
}

/// What is known of an upstream that its prices depend on.
#[derive(Debug, Clone)]
pub struct PricedUpstream {
    /// Its base URL, of which the catalogue may know the provider.
    pub url: String,
    /// Where that is reached.
    pub endpoint: Endpoint,
    /// Its provider by the conventions' name, where the catalogue does not know the URL.
    pub provider: Option<Arc<str>>,
}

/// Sets what an exchange costs.
pub(super) struct PriceStage {
    config: PriceConfig,
    /// The user's own prices by which the models were looked up.
    own: Arc<OwnPrices>,
    /// Models that were looked up, by upstream, where it is reached, and name, with their prices where they have any.
    found: HashMap<Place, Names, RandomState>,
}

/// An upstream and where it is reached.
type Place = (Upstream, Endpoint);

/// Models of an upstream that were looked up.
type Names = HashMap<Box<str>, Result<Entry, Unpriced>, RandomState>;

/// Most names of models of an upstream that are remembered: clients can invent any.
const NAMES_MAX: usize = 1024;

impl PriceStage {
    pub(super) fn new(config: PriceConfig) -> Self {
        let own = Arc::clone(&config.own.lock());
        Self {
            own,
            config,
            found: HashMap::default(),
        }
    }

    /// Takes over the user's own prices where they have been read again.
    fn follow(&mut self) {
        let own = self.config.own.lock();
        if !Arc::ptr_eq(&own, &self.own) {
            self.own = Arc::clone(&own);
            self.found.clear();
        }
    }

    /// What the first of these models costs that has a price at an upstream, or why the last has none.
    fn entry<'m>(
        &mut self,
        place: &Place,
        models: impl Iterator<Item = &'m str>,
    ) -> Result<Entry, Unpriced> {
        let mut why = Unpriced::Model;
        for model in models {
            let known = self.found.get(place).and_then(|names| names.get(model));
            let entry = match known {
                Some(entry) => entry.clone(),
                None => self.learn(place, model),
            };
            match entry {
                Ok(entry) => return Ok(entry),
                Err(unpriced) => why = unpriced,
            }
        }
        Err(why)
    }

    /// Looks a model up and remembers what was found.
    fn learn(&mut self, place: &Place, model: &str) -> Result<Entry, Unpriced> {
        let entry = self.look_up(place, model);
        let names = self.found.entry(place.clone()).or_default();
        if names.len() == NAMES_MAX {
            names.clear();
        }
        names.insert(model.into(), entry.clone());
        entry
    }

    fn look_up(&self, (upstream, endpoint): &Place, model: &str) -> Result<Entry, Unpriced> {
        let known = self.config.upstreams.get(&upstream.name);
        // A captured call may have gone elsewhere.
        let known = known.filter(|known| known.endpoint == *endpoint);
        let provider = match known {
            Some(known) => known.provider.as_deref(),
            None => upstream.provider.as_deref(),
        };
        let elsewhere = format!("https://{}/", endpoint.address);
        let by_url = Wanted {
            upstream: Some(&upstream.name),
            provider: None,
            url: Some(known.map_or(&*elsewhere, |known| &*known.url)),
            model,
        };
        let by_name = Wanted {
            provider: provider.map(catalogue_name),
            url: None,
            ..by_url
        };
        // The name of a model alone says nothing of who runs it.
        let by_name = provider.map(|_| by_name);
        let mut why = Unpriced::Provider;
        for way in iter::once(&by_url).chain(&by_name) {
            match Catalogue::bundled().find(&self.own, way) {
                Ok(entry) => return Ok(entry),
                Err(NotFound::Provider { .. } | NotFound::Url { .. }) => {}
                Err(NotFound::Model { .. } | NotFound::Owner { .. }) => why = Unpriced::Model,
            }
        }
        Err(why)
    }

    /// By whose price an exchange goes, and what it used; `None` where it used nothing that could have one.
    fn find(&mut self, exchange: &Exchange) -> Option<Result<Found, Unpriced>> {
        if exchange.generates_elsewhere() {
            // The call that generated it has cost it.
            return None;
        }
        let estimate = estimate(&exchange.usage);
        let usage = estimate.as_ref().unwrap_or(&exchange.usage);
        if amounts(usage).all(|(_, amount)| amount.is_none()) {
            return None;
        }
        let (_, upstream) = exchange.model_call()?;
        let response = &exchange.response;

        // An upstream may answer with a name of its own for the model.
        let models = [response.model.as_deref(), exchange.request.model.as_deref()];
        let models = models.into_iter().flatten();
        let place = (upstream.clone(), exchange.endpoint.clone()?);
        let entry = match self.entry(&place, models) {
            Ok(entry) => entry,
            Err(unpriced) => return Some(Err(unpriced)),
        };
        let catalogue = Catalogue::bundled();
        let mut counts = counts_of(usage, catalogue);
        if entry.is_own() {
            let seconds = exchange.call_end().saturating_sub(exchange.issued());
            set(&mut counts, catalogue, "gpu_seconds", seconds_of(seconds));
        }
        Some(Ok(Found {
            entry,
            counts,
            estimated: estimate.is_some(),
        }))
    }

    fn price(&mut self, exchange: &Exchange) -> Option<Price> {
        let found = match self.find(exchange)? {
            Ok(found) => found,
            Err(unpriced) => return Some(Price::Unknown(unpriced)),
        };
        let (entry, at) = (&found.entry, exchange.started_at);
        let tier = tier(exchange);
        let amounts = match entry.amounts(&found.counts, at, tier.as_slice()) {
            Ok(amounts) => amounts,
            Err(NoAmount::NoPrice { .. }) => return Some(Price::Unknown(Unpriced::Price)),
            Err(_) => return Some(Price::Unknown(Unpriced::Usage)),
        };
        Some(Price::Known(Cost {
            input: amounts.input,
            output: amounts.output,
            total: amounts.total,
            entry: Arc::clone(entry.name()),
            since: entry.since(at),
            estimated: amounts.of_usage && found.estimated,
            partial: amounts.of_usage && exchange.is_usage_partial(),
        }))
    }
}

/// By whose price an exchange goes, and what it used.
struct Found {
    entry: Entry,
    counts: Counts,
    /// The tokens were counted by us.
    estimated: bool,
}

/// What the price may depend on besides: the tier that the response names.
fn tier(exchange: &Exchange) -> Option<(&str, &str)> {
    let tier = exchange.response.service_tier.as_deref();
    tier.map(|tier| ("service_tier", tier))
}

/// What an exchange costs, with its working: the same amounts as a live exchange's. `None` where that is not known.
#[must_use]
pub fn worked(config: &PriceConfig, exchange: &Exchange) -> Option<Priced> {
    let mut stage = PriceStage::new(config.clone());
    let found = stage.find(exchange)?.ok()?;
    let at = exchange.started_at;
    let working = found
        .entry
        .work(&found.counts, at, tier(exchange).as_slice());
    Some(Priced {
        entry: found.entry,
        asked: None,
        at,
        working: working.ok()?,
    })
}

impl Stage for PriceStage {
    fn name(&self) -> &'static str {
        "price"
    }

    fn run(&mut self, finished: &mut Finished) {
        self.follow();
        finished.exchange.price = self.price(&finished.exchange);
    }
}

/// What the catalogue calls a provider that the conventions have a name for.
fn catalogue_name(provider: &str) -> &str {
    match provider {
        "azure.ai.openai" | "azure.ai.inference" => "azure",
        "aws.bedrock" => "aws",
        "gcp.gemini" | "gcp.vertex_ai" | "gcp.gen_ai" => "google",
        "mistral_ai" => "mistral",
        "moonshot_ai" => "moonshotai",
        "x_ai" => "x-ai",
        other => other,
    }
}

/// Usage as it was counted by us.
fn estimate(usage: &Usage) -> Option<Usage> {
    let estimate = usage.estimate;
    estimate.is_there().then(|| Usage {
        input_tokens: estimate.input_tokens,
        output_tokens: estimate.output_tokens,
        web_searches: usage.web_searches,
        ..Usage::default()
    })
}

fn seconds_of(time: std::time::Duration) -> Decimal {
    Decimal::new(i64::try_from(time.as_micros()).unwrap_or(i64::MAX), 6)
}

fn set(counts: &mut Counts, catalogue: &Catalogue, unit: &str, amount: Decimal) {
    // A unit that the catalogue does not have has no price in it either.
    let _ = catalogue.count(counts, unit, amount);
}

/// What was used, in the units of the catalogue.
#[must_use]
pub fn counts_of(usage: &Usage, catalogue: &Catalogue) -> Counts {
    let mut counts = Counts::default();
    for (unit, amount) in amounts(usage) {
        if let Some(amount) = amount {
            set(&mut counts, catalogue, unit, amount);
        }
    }
    // A call of which nothing else is known costs more than its searches.
    if let Some(searches) = usage.web_searches.filter(|_| !counts.is_empty()) {
        set(&mut counts, catalogue, "web_searches", searches.into());
    }
    counts
}

/// What there may be of each unit.
fn amounts(usage: &Usage) -> impl Iterator<Item = (&'static str, Option<Decimal>)> {
    let seconds = usage.audio_input_duration.map(seconds_of);
    let count = |count: Option<u64>| count.map(Decimal::from);
    // Relays may report a part and not the whole, which then has no part.
    let written = usage.cache_write_input_tokens.unwrap_or_default();
    let part = |part: Option<u64>| part.filter(|part| *part <= written);
    [
        ("input_tokens", count(usage.input_tokens)),
        ("output_tokens", count(usage.output_tokens)),
        ("cache_read_tokens", count(usage.cache_read_input_tokens)),
        ("cache_write_tokens", count(usage.cache_write_input_tokens)),
        (
            "output_reasoning_tokens",
            count(usage.reasoning_output_tokens),
        ),
        ("input_audio_tokens", count(usage.audio_input_tokens)),
        ("output_audio_tokens", count(usage.audio_output_tokens)),
        ("input_text_tokens", count(usage.text_input_tokens)),
        ("output_text_tokens", count(usage.text_output_tokens)),
        ("input_image_tokens", count(usage.image_input_tokens)),
        ("output_image_tokens", count(usage.image_output_tokens)),
        (
            "cache_text_read_tokens",
            count(usage.text_cache_read_input_tokens),
        ),
        (
            "cache_image_read_tokens",
            count(usage.image_cache_read_input_tokens),
        ),
        (
            "cache_audio_read_tokens",
            count(usage.audio_cache_read_input_tokens),
        ),
        (
            "cache_write_5m_tokens",
            count(part(usage.cache_write_5m_input_tokens)),
        ),
        (
            "cache_write_1h_tokens",
            count(part(usage.cache_write_1h_input_tokens)),
        ),
        ("audio_seconds", seconds),
        ("input_audio_seconds", seconds),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests;
