//! A model with its prices, and which of them hold for a call.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::clause::Clause;
use super::condition::{Context, Day, When};
use super::unit::{Unit, Units, UnknownUnit};
use super::working::{Price, Prices};

/// A model and what it costs.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) id: Box<str>,
    /// The names that mean it.
    pub(super) is: Clause,
    /// The last one holds that can, else the first.
    pub(super) lists: Vec<List>,
    /// Prices of calls of a kind, each in the place of the same unit's in the list.
    pub(super) variants: Vec<List>,
}

/// A list of prices, and when it holds.
#[derive(Debug)]
pub(super) struct List {
    /// What has to be known of a call, all of it.
    context: BTreeMap<Box<str>, Box<str>>,
    pub(super) when: When,
    prices: Prices,
}

/// A list of prices as it is written.
#[derive(Debug, Deserialize)]
pub(super) struct WrittenList {
    #[serde(default, rename = "for")]
    context: BTreeMap<Box<str>, Box<str>>,
    from: Option<Day>,
    between: Option<(u32, u32)>,
    of: BTreeMap<Box<str>, WrittenPrice>,
}

/// The price of a unit as it is written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum WrittenPrice {
    Flat(Decimal),
    Tiered {
        base: Decimal,
        tiers: Vec<(u64, Decimal)>,
    },
}

impl Model {
    /// The list that holds at an instant for every call.
    pub(super) fn standard(&self, at: SystemTime) -> Option<&List> {
        let holds = self.lists.iter().rfind(|list| list.when.holds(at));
        holds.or_else(|| self.lists.first())
    }

    /// What calls may use that some list that holds by itself has no price for.
    pub(super) fn missing<'u>(&self, units: &'u Units) -> Vec<&'u Unit> {
        // Without a list for every call, those of a kind stand alone.
        let lists = match &self.lists[..] {
            [] => &self.variants,
            lists => lists,
        };
        let mut missing: Vec<&Unit> = Vec::new();
        for unit in lists.iter().flat_map(|list| list.prices.missing(units)) {
            if !missing.iter().any(|known| known.price == unit.price) {
                missing.push(unit);
            }
        }
        missing
    }

    /// What its prices depend on.
    pub(super) fn dimensions(&self) -> impl Iterator<Item = &str> {
        let variants = self.variants.iter();
        variants.flat_map(|list| list.context.keys().map(|name| &**name))
    }

    /// The prices that hold at an instant for a call of which this is known: of the variants the first that has one.
    pub(super) fn prices(
        &self,
        at: SystemTime,
        context: &Context<'_>,
        units: &Units,
    ) -> Cow<'_, Prices> {
        let variants = self.variants.iter();
        let holding = variants.filter(|variant| variant.holds(at, context));
        let lists = holding
            .chain(self.standard(at))
            .map(|list| Cow::Borrowed(&list.prices));
        let all = lists.reduce(|before, after| Cow::Owned(before.or(&after, units)));
        all.unwrap_or_default()
    }
}

impl List {
    pub(super) fn holds(&self, at: SystemTime, context: &Context<'_>) -> bool {
        let is_said = |name: &str, value: &str| context.contains(&(name, value));
        let mut said = self.context.iter();
        self.when.holds(at) && said.all(|(name, value)| is_said(name, value))
    }

    pub(super) fn is_for_all(&self) -> bool {
        self.context.is_empty()
    }
}

impl WrittenPrice {
    /// What of it is below zero.
    pub(super) fn below_zero(&self) -> Option<Decimal> {
        let (base, tiers) = match self {
            Self::Flat(base) => (base, &[][..]),
            Self::Tiered { base, tiers } => (base, &tiers[..]),
        };
        let mut all = tiers.iter().map(|(_, price)| price).chain([base]);
        all.find(|price| price.is_sign_negative()).copied()
    }
}

impl WrittenList {
    /// Of prices by the names of their units.
    pub(super) const fn new(
        context: BTreeMap<Box<str>, Box<str>>,
        from: Option<Day>,
        of: BTreeMap<Box<str>, WrittenPrice>,
    ) -> Self {
        Self {
            context,
            from,
            between: None,
            of,
        }
    }

    /// # Errors
    ///
    /// It has a price of what is no unit.
    pub(super) fn resolve(self, units: &Units) -> Result<List, UnknownUnit> {
        let resolved =
            |(key, price): (Box<str>, WrittenPrice)| Ok((units.priced(&key)?, price.into()));
        let prices = self
            .of
            .into_iter()
            .map(resolved)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(List {
            context: self.context,
            when: When {
                from: self.from,
                between: self.between,
            },
            prices: Prices::new(prices, units),
        })
    }
}

impl From<WrittenPrice> for Price {
    fn from(written: WrittenPrice) -> Self {
        let (base, tiers) = match written {
            WrittenPrice::Flat(base) => (base, Vec::new()),
            WrittenPrice::Tiered { base, mut tiers } => {
                tiers.sort_by_key(|(above, _)| *above);
                (base, tiers)
            }
        };
        Self { base, tiers }
    }
}
