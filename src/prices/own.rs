//! Prices of the user's own, from a file: of models that the catalogue does not have, and in the place of those it has.

use rust_decimal::Decimal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use wildmatch::WildMatch;

use super::clause::Clause;
use super::condition::Day;
use super::model::{Model, WrittenList, WrittenPrice};
use super::unit::{Units, UnknownUnit};

/// The file as it is written: one table a price.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    #[serde(default)]
    price: Vec<WrittenOwn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOwn {
    /// The upstream or the provider; any, where it is not there.
    upstream: Option<String>,
    /// The model; `*` and `?` stand for other characters.
    model: String,
    from: Option<Day>,
    #[serde(default, rename = "for")]
    context: BTreeMap<Box<str>, Box<str>>,
    /// Prices in USD.
    usd: BTreeMap<Box<str>, WrittenPrice>,
}

/// Prices of the user's own.
#[derive(Debug, Default)]
pub struct OwnPrices {
    models: Vec<(Option<String>, Arc<Model>)>,
}

/// What is wrong with a file of prices.
#[derive(Debug, thiserror::Error)]
pub enum OwnProblem {
    /// It is no TOML, or has other members than a price has.
    #[error(transparent)]
    Format(#[from] toml::de::Error),
    /// It has a price of what is no unit.
    #[error("in the price of {model}: {unknown}")]
    Unit {
        /// Whose price it is.
        model: String,
        /// What is no unit.
        unknown: UnknownUnit,
    },
    /// A price is below zero.
    #[error("in the price of {model}: {unit} is {price}, and a price is not below zero")]
    Negative {
        /// Whose price it is.
        model: String,
        /// The unit.
        unit: String,
        /// As it was given.
        price: Decimal,
    },
}

impl OwnPrices {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    pub(super) fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.iter().map(|(_, model)| model)
    }

    /// For which upstream a price is, in lower case, of which model; of those that are for one.
    pub fn upstreams(&self) -> impl Iterator<Item = (&str, &str)> {
        let models = self.models.iter();
        models.filter_map(|(of, model)| Some((of.as_deref()?, &*model.id)))
    }

    /// What calls may use, and a model has no price for though it has one for other tokens: the model, and what the prices would
    /// be called.
    pub(super) fn missing<'o>(
        &'o self,
        units: &'o Units,
    ) -> impl Iterator<Item = (&'o str, Vec<&'o str>)> {
        let missing = self.models().map(|model| {
            let units = model.missing(units).into_iter();
            (&*model.id, units.map(|unit| &*unit.price).collect())
        });
        missing.filter(|(_, missing): &(_, Vec<_>)| !missing.is_empty())
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub(super) fn read(text: &str, units: &Units) -> Result<Self, OwnProblem> {
        let file: WrittenFile = toml::from_str(text)?;
        let mut models = Vec::new();
        for price in file.price {
            add(&mut models, price, units)?;
        }
        let shared = models.into_iter().map(|(of, model)| (of, Arc::new(model)));
        Ok(Self {
            models: shared.collect(),
        })
    }

    /// The price of a model, which may be called by several names and be of upstreams of several names; all in lower case.
    /// One that names the upstream comes before one that does not.
    pub(super) fn find(&self, upstreams: &[&str], model: &str) -> Option<&Arc<Model>> {
        let mut named = self.models.iter().filter(|(_, own)| own.is.is_match(model));
        let is_of = |of: &Option<String>| of.as_deref().is_some_and(|of| upstreams.contains(&of));
        let own = named.clone().find(|(of, _)| is_of(of));
        let own = own.or_else(|| named.find(|(of, _)| of.is_none()));
        own.map(|(_, model)| model)
    }
}

/// Prices of the same model and upstream are lists of one model.
fn add(
    models: &mut Vec<(Option<String>, Model)>,
    price: WrittenOwn,
    units: &Units,
) -> Result<(), OwnProblem> {
    let name = price.model;
    if let Some((unit, below)) = price
        .usd
        .iter()
        .find_map(|(unit, it)| Some((unit, it.below_zero()?)))
    {
        return Err(OwnProblem::Negative {
            model: name,
            unit: unit.to_string(),
            price: below,
        });
    }
    let list = WrittenList::new(price.context, price.from, price.usd);
    let list = list.resolve(units).map_err(|unknown| OwnProblem::Unit {
        model: name.clone(),
        unknown,
    })?;
    let upstream = price.upstream.map(|upstream| upstream.to_lowercase());
    let same = |(of, model): &(Option<String>, Model)| *of == upstream && *model.id == *name;
    let at = match models.iter().position(same) {
        Some(at) => at,
        None => {
            let is = Clause::Glob(WildMatch::new(&name.to_lowercase()));
            let model = Model {
                id: name.into(),
                is,
                lists: Vec::new(),
                variants: Vec::new(),
            };
            models.push((upstream, model));
            models.len() - 1
        }
    };
    let model = &mut models[at].1;
    if list.is_for_all() {
        model.lists.push(list);
    } else {
        model.variants.push(list);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Catalogue, Counts, Wanted};
    use super::*;
    use std::time::{Duration, SystemTime};

    fn read(text: &str) -> Result<OwnPrices, String> {
        let read = Catalogue::bundled().read_own(text);
        read.map_err(|problem| problem.to_string())
    }

    /// What a million tokens in, and some of another unit, cost in USD on a day.
    fn cost(
        own: &OwnPrices,
        upstream: &str,
        model: &str,
        day: &str,
        context: &[(&str, &str)],
    ) -> String {
        let catalogue = Catalogue::bundled();
        let wanted = Wanted {
            upstream: Some(upstream),
            provider: None,
            url: Some("http://here:8000/v1"),
            model,
        };
        let entry = match catalogue.find(own, &wanted) {
            Ok(entry) => entry,
            Err(none) => return none.to_string(),
        };
        assert!(entry.is_own());
        let mut counts = Counts::default();
        for (unit, amount) in [("input_tokens", 1_000_000), ("gpu_seconds", 10)] {
            catalogue.count(&mut counts, unit, amount.into()).unwrap();
        }
        let at = Day::parse(day).unwrap().start() + Duration::from_secs(1);
        assert!(at > SystemTime::UNIX_EPOCH);
        entry
            .amounts(&counts, at, context)
            .unwrap()
            .total
            .normalize()
            .to_string()
    }

    #[test]
    fn the_example_prices_what_it_says() {
        let own = read(include_str!("../../config/own-prices.toml")).unwrap();
        let on = |model, day| cost(&own, "vllm", model, day, &[]);
        assert_eq!(on("llama-3.3-70b", "2026-11-29"), "0.2");
        assert_eq!(on("Example-Contract", "2026-12-01"), "2");
        let flex = [("service_tier", "flex")];
        assert_eq!(
            cost(&own, "any", "example-contract", "2026-12-01", &flex),
            "1"
        );
        assert_eq!(on("example-long", "2026-11-29"), "2.5");
        assert_eq!(on("example-by-time", "2026-11-29"), "0.006");
        assert_eq!(
            cost(&own, "other", "llama-3.3-70b", "2026-11-29", &[]),
            "the price catalogue has no provider at http://here:8000/v1"
        );
    }

    /// What a usage costs by one price of the user's own, or why it costs nothing that is known.
    fn by(usd: &str, usage: &[(&str, u64)]) -> Result<String, String> {
        let own = read(&format!("[[price]]\nmodel = \"m\"\nusd = {{ {usd} }}\n")).unwrap();
        let catalogue = Catalogue::bundled();
        let wanted = Wanted {
            upstream: None,
            provider: None,
            url: None,
            model: "m",
        };
        let mut counts = Counts::default();
        for (unit, amount) in usage {
            let amount = *amount * 1_000_000;
            catalogue.count(&mut counts, unit, amount.into()).unwrap();
        }
        let entry = catalogue.find(&own, &wanted).unwrap();
        let amounts = entry.amounts(&counts, SystemTime::UNIX_EPOCH, &[]);
        let amounts = amounts.map_err(|unpriced| unpriced.to_string())?;
        Ok(amounts.total.normalize().to_string())
    }

    #[test]
    fn tokens_that_a_price_leaves_out_are_not_free() {
        let free = |unit: &str, price: &str| {
            Err(format!(
                "no price of {unit}, and the usage has them; write {price} = 0 if they are free"
            ))
        };
        let both = [("input_tokens", 3), ("output_tokens", 1)];
        let no_output = free("output_tokens", "output_mtok");
        let no_input = free("input_tokens", "input_mtok");
        assert_eq!(by("input_mtok = 2", &both), no_output);
        assert_eq!(by("output_mtok = 2", &both), no_input);
        assert_eq!(by("", &both), no_input);
        assert_eq!(by("input_mtok = 2, output_mtok = 0", &both), Ok("6".into()));
        // A price of a part is none of the rest.
        let thought = [("output_tokens", 3), ("output_reasoning_tokens", 2)];
        assert_eq!(by("output_reasoning_mtok = 2", &thought), no_output);
        let heard = [("output_audio_tokens", 1)];
        assert_eq!(by("input_mtok = 2", &heard), no_output);
        // Together the parts may be the whole.
        let spoken = [
            ("output_tokens", 3),
            ("output_text_tokens", 2),
            ("output_audio_tokens", 1),
        ];
        let parts = "output_text_mtok = 1, output_audio_mtok = 5";
        assert_eq!(by(parts, &spoken), Ok("7".into()));
        // Embeddings have no output, or none that is counted.
        for output in [&[("output_tokens", 0)][..], &[]] {
            let embedded = [&[("input_tokens", 3)][..], output].concat();
            assert_eq!(by("input_mtok = 2", &embedded), Ok("6".into()));
        }
        // Cached tokens without a price are input tokens.
        let cached = [("input_tokens", 3), ("cache_read_tokens", 2)];
        assert_eq!(by("input_mtok = 2", &cached), Ok("6".into()));
        // What is not paid by tokens has no price of them.
        let timed = [&both[..], &[("gpu_seconds", 1)]].concat();
        assert_eq!(by("gpu_second = 0.000001", &timed), Ok("1".into()));
    }

    #[test]
    fn a_price_that_leaves_tokens_out_is_odd() {
        let odd = |text: &str| {
            let own = read(text).unwrap();
            Catalogue::bundled().oddities(&own).collect::<Vec<_>>()
        };
        assert_eq!(
            odd("[[price]]\nmodel = \"gpt-4o\"\nusd = { input_mtok = 2 }\n"),
            [
                "the price of gpt-4o has no output_mtok: calls that use such tokens have no cost; write output_mtok = 0 if they are \
                 free, or if there are none"
            ]
        );
        assert_eq!(
            odd("[[price]]\nmodel = \"m\"\nfor = { service_tier = \"flex\" }\nusd = { input_mtok = 2 }\n").len(),
            1
        );
        let right = include_str!("../../config/own-prices.toml");
        assert_eq!(odd(right), [""; 0]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let of = |usd: &str| format!("[[price]]\nmodel = \"m\"\nusd = {{ {usd} }}\n");
        let expect = |text: &str, expected: &str| {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        };
        expect(
            &of("input_mtoks = 1"),
            "in the price of m: unknown unit input_mtoks, did you mean input_mtok?",
        );
        expect(
            &of("input_mtok = -1"),
            "in the price of m: input_mtok is -1, and a price is not below zero",
        );
        expect("[[price]]\nmodel = \"m\"\n", "missing field `usd`");
        expect(
            "[[price]]\nusd = {}\nmodell = \"m\"\n",
            "unknown field `modell`",
        );
        expect(
            "[[price]]\nmodel = \"m\"\nfrom = \"soon\"\nusd = {}\n",
            "soon is no day such as 2026-11-29",
        );
    }
}
