//! The working of an amount: what is left of each unit once its parts are taken out, times its price.

use std::cmp::Reverse;

use rust_decimal::Decimal;

use super::counts::{Counts, Unpriced};
use super::unit::{Unit, UnitIndex, Units};

/// What a call costs, and how that comes about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Working {
    /// A line for each unit that has a price, in the catalogue's order.
    pub lines: Vec<Line>,
    /// What they come to.
    pub amounts: Amounts,
}

/// One unit's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The unit, as a usage calls it.
    pub unit: &'static str,
    /// How much of it there was that has no price of its own as a part.
    pub count: Decimal,
    /// The price in USD, for so much.
    pub price: Decimal,
    /// How much the price is for.
    pub per: u32,
    /// The input tokens beyond which this price holds, where the price depends on them.
    pub above: Option<u64>,
    /// In USD.
    pub amount: Decimal,
}

/// Prices by unit, those of parts before that of what they are parts of.
#[derive(Debug, Clone, Default)]
pub(super) struct Prices(Vec<(UnitIndex, Price)>);

/// The price of a unit, in USD.
#[derive(Debug, Clone)]
pub(super) struct Price {
    pub(super) base: Decimal,
    /// Prices for calls with more input tokens than this, ascending. They hold for all of the call.
    pub(super) tiers: Vec<(u64, Decimal)>,
}

/// What calls cost in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Of what went in, in USD.
    pub input: Decimal,
    /// Of what came out, in USD.
    pub output: Decimal,
    /// Of all of it, in USD.
    pub total: Decimal,
    /// Whether any of it depends on what the usage counts, and not on the call and its time alone.
    pub of_usage: bool,
}

impl Price {
    /// The one that holds at so many input tokens, and above how many it does.
    fn at(&self, input: Decimal) -> (Decimal, Option<u64>) {
        let mut tiers = self.tiers.iter().rev();
        let tier = tiers.find(|(above, _)| input > Decimal::from(*above));
        tier.map_or((self.base, None), |(above, price)| (*price, Some(*above)))
    }
}

impl Prices {
    pub(super) fn new(mut prices: Vec<(UnitIndex, Price)>, units: &Units) -> Self {
        prices.sort_by_key(|(index, _)| (Reverse(units.get(*index).depth()), *index));
        Self(prices)
    }

    /// These, and of the others those of units that have none here.
    pub(super) fn or(&self, others: &Self, units: &Units) -> Self {
        let has = |unit: UnitIndex| self.0.iter().any(|(known, _)| *known == unit);
        let more = others.0.iter().filter(|(unit, _)| !has(*unit));
        Self::new(self.0.iter().chain(more).cloned().collect(), units)
    }

    /// Whether tokens are free for which nothing stands here: something else is paid for, such as time.
    fn is_by_other_than_tokens(&self, units: &Units) -> bool {
        let mut paid = self.0.iter().map(|(unit, _)| units.get(*unit));
        !self.0.is_empty() && !paid.any(Unit::is_of_tokens)
    }

    /// Input or output tokens, or both, where none of them has a price here though it is tokens that are paid for.
    pub(super) fn missing<'u>(&self, units: &'u Units) -> Vec<&'u Unit> {
        if self.is_by_other_than_tokens(units) {
            return Vec::new();
        }
        let has_price = |whole: &&Unit| {
            let mut paid = self.0.iter().map(|(unit, _)| units.get(*unit));
            paid.any(|unit| whole.includes(unit))
        };
        units
            .wholes()
            .map(|(_, whole)| whole)
            .filter(|whole| !has_price(whole))
            .collect()
    }

    /// Works out an amount; `each` is shown every line of it. Where the prices are `all` that is charged, every token has to have one.
    pub(super) fn work(
        &self,
        counts: &Counts,
        units: &'static Units,
        all: bool,
        mut each: impl FnMut(UnitIndex, Line),
    ) -> Result<Amounts, Unpriced> {
        let depends_on_input = self.0.iter().any(|(_, price)| !price.tiers.is_empty());
        let input = match units.named("input_tokens") {
            Ok(input) if depends_on_input => counts.amount(input, units)?,
            _ => Decimal::ZERO,
        };
        let mut amounts = Amounts {
            of_usage: depends_on_input,
            ..Amounts::default()
        };
        // What is left of each, once the parts that have a price are taken out.
        let mut left = Counts::default();
        for (index, price) in &self.0 {
            let unit = units.get(*index);
            amounts.of_usage |= unit.is_of_usage();
            let rest = if unit.is_request() {
                Decimal::ONE
            } else {
                let parts = self
                    .0
                    .iter()
                    .filter(|(part, _)| unit.includes(units.get(*part)));
                let parts: Decimal = parts.filter_map(|(part, _)| left.reported(*part)).sum();
                counts.amount(*index, units)? - parts
            };
            if rest.is_sign_negative() && !rest.is_zero() {
                return Err(Unpriced::Contradiction {
                    unit: unit.name.to_string(),
                });
            }
            left.set(*index, rest);
            let (price, above) = price.at(input);
            let amount = price
                .checked_mul(rest)
                .map(|it| it / Decimal::from(unit.per));
            let amount = amount.ok_or_else(|| Unpriced::TooLarge {
                unit: unit.name.to_string(),
            })?;
            match unit.dimension("direction") {
                Some("input") => amounts.input += amount,
                Some("output") => amounts.output += amount,
                _ => {}
            }
            amounts.total += amount;
            let line = Line {
                unit: &unit.name,
                count: rest,
                price,
                per: unit.per,
                above,
                amount,
            };
            each(*index, line);
        }
        if all {
            self.check_tokens(counts, &left, units)?;
        }
        Ok(amounts)
    }

    /// # Errors
    ///
    /// More tokens were used than those that have a price.
    fn check_tokens(&self, counts: &Counts, paid: &Counts, units: &Units) -> Result<(), Unpriced> {
        if self.is_by_other_than_tokens(units) {
            return Ok(());
        }
        for (index, whole) in units.wholes() {
            let parts = units.each().filter(|(_, unit)| whole.includes(unit));
            let used = counts.reported(index).or_else(|| {
                let parts = parts.clone();
                parts.filter_map(|(part, _)| counts.reported(part)).max()
            });
            let paid: Decimal = parts.filter_map(|(part, _)| paid.reported(part)).sum();
            if used.is_some_and(|used| used > paid) {
                return Err(Unpriced::NoPrice {
                    unit: whole.name.to_string(),
                    price: whole.price.to_string(),
                });
            }
        }
        Ok(())
    }
}
