//! The catalogue: providers, the models of each, and which of them a name means.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::SystemTime;

use fancy_regex::{Captures, Regex};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;

use super::clause::{Clause, UrlPattern};
use super::condition::{Context, Day};
use super::counts::{Counts, Unpriced};
use super::model::{Model, WrittenList};
use super::own::{OwnPrices, OwnProblem};
use super::unit::{Unit, UnitIndex, Units, UnknownUnit, did_you_mean, nearest};
use super::working::{Amounts, Line, Working};

/// Whose the prices of the user's own are.
const OWN: &str = "own";

/// The catalogue that comes with the program.
const BUNDLED: &str = include_str!("../../config/prices.jsonl");

/// All that has a price.
#[derive(Debug)]
pub struct Catalogue {
    source: Source,
    units: Units,
    providers: Vec<Provider>,
}

/// Where the prices come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// The package.
    #[serde(rename = "source")]
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// The day on which it was published.
    pub date: Box<str>,
}

/// The first line of the catalogue.
#[derive(Deserialize)]
struct Head {
    #[serde(flatten)]
    source: Source,
    units: Units,
}

#[derive(Debug, Deserialize)]
struct Provider {
    id: Box<str>,
    /// The URLs at which it is reached.
    url: UrlPattern,
    /// Other names of it.
    provider: Option<Clause>,
    /// Names of models that are its own.
    model: Option<Clause>,
    /// Providers whose models it offers at their prices.
    #[serde(default)]
    fallback: Vec<Box<str>>,
    /// As they are written: few of the providers are ever asked.
    #[serde(borrow, rename = "models")]
    written: &'static RawValue,
    #[serde(skip)]
    models: OnceLock<Vec<Arc<Model>>>,
}

/// What a price is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What the user calls the upstream.
    pub upstream: Option<&'a str>,
    /// The provider's name, where one is known; it comes before the URL.
    pub provider: Option<&'a str>,
    /// Where the provider is reached.
    pub url: Option<&'a str>,
    /// The model, as a request or a response calls it.
    pub model: &'a str,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// Nobody of that name.
    #[error("the price catalogue has no provider {wanted}{}", did_you_mean(.nearest.as_deref()))]
    Provider {
        /// Its name.
        wanted: String,
        /// The provider whose name is like it, if there is one.
        nearest: Option<String>,
    },
    /// Nobody at that URL.
    #[error("the price catalogue has no provider at {url}")]
    Url {
        /// As it was asked for.
        url: String,
    },
    /// No provider is known by a model of its own of this name.
    #[error(
        "the price catalogue has no provider of a model {model}{}",
        did_you_mean(Catalogue::bundled().like_own(.model))
    )]
    Owner {
        /// As it was asked for.
        model: String,
    },
    /// The provider has no such model.
    #[error(
        "the price catalogue has no model {model} of {provider}{}",
        did_you_mean(Catalogue::bundled().like(.provider, .model))
    )]
    Model {
        /// Its id.
        provider: String,
        /// As it was asked for.
        model: String,
    },
}

impl NotFound {
    fn provider(wanted: String, nearest: Option<&str>) -> Self {
        let nearest = nearest.map(str::to_owned);
        Self::Provider { wanted, nearest }
    }
}

/// A model with its prices.
#[derive(Debug, Clone)]
pub struct Entry {
    catalogue: &'static Catalogue,
    provider: &'static str,
    model: Arc<Model>,
    /// Both in one.
    name: Arc<str>,
    /// The model is another provider's, whose variants do not hold here.
    borrowed: bool,
}

impl Catalogue {
    /// The one that comes with the program. Read when it is first asked for.
    ///
    /// # Panics
    ///
    /// Never: a test reads it whole.
    #[must_use]
    pub fn bundled() -> &'static Self {
        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
            Catalogue::read(BUNDLED)
                .expect("the program was built with a catalogue that can be read")
        });
        &CATALOGUE
    }

    fn read(text: &'static str) -> serde_json::Result<Self> {
        let (head, providers) = text.split_once('\n').unwrap_or((text, ""));
        let Head { source, units } = serde_json::from_str(head)?;
        let units = units.and(Unit::gpu_seconds());
        let units = units.ok_or_else(|| serde_json::Error::custom("too many units"))?;
        let providers = providers.lines().map(serde_json::from_str);
        Ok(Self {
            source,
            units,
            providers: providers.collect::<Result<_, _>>()?,
        })
    }

    /// Where the prices come from.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Sets the amount of a unit.
    ///
    /// # Errors
    ///
    /// There is no such unit.
    pub fn count(
        &self,
        counts: &mut Counts,
        unit: &str,
        amount: Decimal,
    ) -> Result<(), UnknownUnit> {
        counts.set(self.units.named(unit)?, amount);
        Ok(())
    }

    /// What some price depends on, of the catalogue or of the user's own: `service_tier`, `processing`, …
    #[must_use]
    pub fn dimensions<'c>(&'c self, own: &'c OwnPrices) -> BTreeSet<&'c str> {
        let providers = self.providers.iter();
        let models = providers.flat_map(|provider| provider.models(&self.units));
        let models = models.chain(own.models());
        models.flat_map(|model| model.dimensions()).collect()
    }

    /// Reads a file of the user's own prices.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read_own(&self, text: &str) -> Result<OwnPrices, OwnProblem> {
        OwnPrices::read(text, &self.units)
    }

    /// What is odd about the user's own prices, a sentence each: tokens for which a model has no price, so that calls with them
    /// have none either.
    pub fn oddities<'o>(&'o self, own: &'o OwnPrices) -> impl Iterator<Item = String> + 'o {
        own.missing(&self.units).map(|(model, missing)| {
            let zero: Vec<String> = missing.iter().map(|name| format!("{name} = 0")).collect();
            format!(
                "the price of {model} has no {}: calls that use such tokens have no cost; write {} if they are free, or if there are none",
                missing.join(" and no "),
                zero.join(", ")
            )
        })
    }

    /// The model that is meant, and whose it is: of the user's own prices, else of the catalogue.
    ///
    /// # Errors
    ///
    /// There is no such provider, or it has no such model.
    pub fn find(&'static self, own: &OwnPrices, wanted: &Wanted<'_>) -> Result<Entry, NotFound> {
        let mut model = wanted.model.to_lowercase();
        let mut name = wanted.provider.map(|name| name.trim().to_lowercase());
        let upstream = wanted.upstream.map(str::to_lowercase);
        let names: Vec<&str> = [&upstream, &name]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        if let Some(model) = own.find(&names, &model) {
            return Ok(self.entry(OWN, model, false));
        }
        // A gateway puts the provider before the model.
        if name.as_deref() == Some("litellm")
            && let Some((provider, rest)) = model.split_once('/')
            && self.provider_named(provider).is_some()
        {
            (name, model) = (Some(provider.to_owned()), rest.to_owned());
        }
        let provider = self.provider(name.as_deref(), wanted.url, &model)?;
        let found = self.model(provider, &model).or_else(|| {
            let dashed = with_dashed_date(&model);
            (dashed != model).then(|| self.model(provider, &dashed))?
        });
        let (model, borrowed) = found.ok_or_else(|| NotFound::Model {
            provider: provider.id.to_string(),
            model: wanted.model.to_owned(),
        })?;
        Ok(self.entry(&provider.id, model, borrowed))
    }

    fn entry(&'static self, provider: &'static str, model: &Arc<Model>, borrowed: bool) -> Entry {
        Entry {
            catalogue: self,
            provider,
            model: Arc::clone(model),
            name: format!("{provider}/{}", model.id).into(),
            borrowed,
        }
    }

    fn provider(
        &self,
        name: Option<&str>,
        url: Option<&str>,
        model: &str,
    ) -> Result<&Provider, NotFound> {
        let by_name = name.and_then(|name| self.provider_named(name));
        if by_name.is_some() || name.is_some_and(|name| name != "litellm") {
            return by_name.ok_or_else(|| {
                let wanted = name.unwrap_or_default();
                let near = nearest(wanted, self.provider_ids());
                NotFound::provider(wanted.to_owned(), near)
            });
        }
        let mut providers = self.providers.iter();
        if let Some(url) = url {
            let found = providers.find(|provider| provider.url.is_match(url));
            return found.ok_or_else(|| NotFound::Url {
                url: url.to_owned(),
            });
        }
        let is_its_own = |provider: &&Provider| {
            let model_match = provider.model.as_ref();
            model_match.is_some_and(|clause| clause.is_match(model))
        };
        let found = providers.find(is_its_own);
        found.ok_or_else(|| NotFound::Owner {
            model: model.to_owned(),
        })
    }

    /// The names of all providers, each as it is listed.
    pub fn provider_ids(&self) -> impl Iterator<Item = &str> + Clone {
        self.providers.iter().map(|provider| &*provider.id)
    }

    /// Whether there is a provider of this name.
    #[must_use]
    pub fn has_provider(&self, name: &str) -> bool {
        self.provider_named(&name.trim().to_lowercase()).is_some()
    }

    fn provider_named(&self, name: &str) -> Option<&Provider> {
        let mut providers = self.providers.iter();
        let by_id = providers.clone().find(|provider| *provider.id == *name);
        by_id.or_else(|| {
            providers.find(|it| {
                it.provider
                    .as_ref()
                    .is_some_and(|clause| clause.is_match(name))
            })
        })
    }

    /// The model of a provider, or of one whose models it offers, whose name is like one that there is not.
    fn like(&self, provider: &str, name: &str) -> Option<&str> {
        let provider = self.providers.iter().find(|it| *it.id == *provider)?;
        let others = self.providers.iter();
        let others = others.filter(|it| provider.fallback.contains(&it.id));
        let models = [provider].into_iter().chain(others);
        let models = models.flat_map(|it| it.models(&self.units));
        nearest(&name.to_lowercase(), models.map(|model| &*model.id))
    }

    /// The model whose name is like one that there is not, of those that say whose they are.
    fn like_own(&self, name: &str) -> Option<&str> {
        let own = self.providers.iter().filter_map(|provider| {
            let clause = provider.model.as_ref()?;
            let models = provider.models(&self.units).iter();
            Some(models.filter(|model| clause.is_match(&model.id)))
        });
        nearest(&name.to_lowercase(), own.flatten().map(|model| &*model.id))
    }

    /// A provider's own model of a name, else that of one whose models it offers; whether it was another's.
    fn model<'c>(&'c self, provider: &'c Provider, name: &str) -> Option<(&'c Arc<Model>, bool)> {
        if let Some(model) = provider.model_named(name, &self.units) {
            return Some((model, false));
        }
        let others = provider.fallback.iter();
        let mut others = others.filter_map(|id| self.providers.iter().find(|it| it.id == *id));
        let model = others.find_map(|other| other.model_named(name, &self.units))?;
        Some((model, true))
    }
}

impl Provider {
    fn models(&self, units: &Units) -> &[Arc<Model>] {
        self.models.get_or_init(|| {
            let written: Vec<WrittenModel> = serde_json::from_str(self.written.get())
                .expect("the program was built with a catalogue that can be read");
            let resolved = written
                .into_iter()
                .map(|model| model.resolve(units).map(Arc::new));
            let resolved: Result<_, _> = resolved.collect();
            resolved
                .expect("the program was built with a catalogue that has the units of its prices")
        })
    }

    fn model_named(&self, name: &str, units: &Units) -> Option<&Arc<Model>> {
        let mut models = self.models(units).iter();
        models.find(|model| model.is.is_match(name))
    }
}

impl Entry {
    /// The provider's id; `own` for a price of the user's own.
    #[must_use]
    pub const fn provider(&self) -> &str {
        self.provider
    }

    /// The model's id in the catalogue.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model.id
    }

    /// Provider and model: `openai/gpt-4o`.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether the price is the user's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.provider == OWN
    }

    /// What a call costs that was made at an instant, with what is known of it.
    ///
    /// # Errors
    ///
    /// The usage does not have all that is priced, or contradicts itself.
    pub fn amounts(
        &self,
        counts: &Counts,
        at: SystemTime,
        context: &Context<'_>,
    ) -> Result<Amounts, Unpriced> {
        self.each_line(counts, at, context, |_, _| {})
    }

    /// The same, with its working.
    ///
    /// # Errors
    ///
    /// As [`amounts`](Self::amounts).
    pub fn work(
        &self,
        counts: &Counts,
        at: SystemTime,
        context: &Context<'_>,
    ) -> Result<Working, Unpriced> {
        let mut lines = Vec::new();
        let amounts =
            self.each_line(counts, at, context, |index, line| lines.push((index, line)))?;
        lines.sort_by_key(|(index, _)| *index);
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        Ok(Working { lines, amounts })
    }

    fn each_line(
        &self,
        counts: &Counts,
        at: SystemTime,
        context: &Context<'_>,
        each: impl FnMut(UnitIndex, Line),
    ) -> Result<Amounts, Unpriced> {
        let units = &self.catalogue.units;
        let context = if self.borrowed { &[] } else { context };
        let prices = self.model.prices(at, context, units);
        let billed = self.billed(counts);
        // What the catalogue has no price for is not charged; in a price of the user's own it may have been forgotten.
        let all = self.is_own();
        prices.work(billed.as_ref().unwrap_or(counts), units, all, each)
    }

    /// The day from which on the prices hold at an instant, where the catalogue has one.
    #[must_use]
    pub fn since(&self, at: SystemTime) -> Option<String> {
        let day = self.model.standard(at)?.when.from?;
        Some(day.to_string())
    }

    /// What is billed, where that is not what was used: Groq bills ten seconds of sound at least.
    fn billed(&self, counts: &Counts) -> Option<Counts> {
        if self.provider != "groq" || !self.model.id.starts_with("whisper-large-v3") {
            return None;
        }
        let units = &self.catalogue.units;
        let seconds = ["audio_seconds", "input_audio_seconds"].map(|name| units.named(name).ok());
        let reported = seconds
            .iter()
            .flatten()
            .find_map(|unit| counts.reported(*unit).filter(|seconds| !seconds.is_zero()))?;
        let mut billed = counts.clone();
        for unit in seconds.into_iter().flatten() {
            billed.set(unit, reported.max(Decimal::TEN));
        }
        Some(billed)
    }
}

/// A model as the catalogue writes it.
#[derive(Deserialize)]
struct WrittenModel {
    id: Box<str>,
    #[serde(rename = "match")]
    is: Clause,
    prices: Vec<WrittenList>,
    #[serde(default)]
    variants: Vec<WrittenList>,
}

impl WrittenModel {
    fn resolve(self, units: &Units) -> Result<Model, UnknownUnit> {
        let resolved = |lists: Vec<WrittenList>| {
            let lists = lists.into_iter().map(|list| list.resolve(units));
            lists.collect::<Result<Vec<_>, _>>()
        };
        Ok(Model {
            id: self.id,
            is: self.is,
            lists: resolved(self.prices)?,
            variants: resolved(self.variants)?,
        })
    }
}

/// A name with `-20251211` as `-2025-12-11`: gateways write dates in one, and the catalogue does not.
fn with_dashed_date(name: &str) -> String {
    static DATE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
            .expect("the expression is constant, and a test uses it")
    });
    let dashed = DATE.replace_all(name, |found: &Captures<'_, str>| {
        let date = format!("{}-{}-{}", &found[1], &found[2], &found[3]);
        match Day::parse(&date) {
            Some(_) => format!("-{date}"),
            None => found[0].to_owned(),
        }
    });
    dashed.into_owned()
}

#[cfg(test)]
mod tests;
