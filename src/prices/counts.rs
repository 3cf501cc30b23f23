//! Of what a call used how much.

use rust_decimal::Decimal;

use super::unit::{UNITS_MAX, UnitIndex, Units};

/// The amounts of a call, by unit. One that was not reported is not there, which is not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts([Option<Decimal>; UNITS_MAX]);

impl Default for Counts {
    fn default() -> Self {
        Self([None; UNITS_MAX])
    }
}

/// Why a usage has no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// Something that has a price is not there, though there must have been some.
    #[error("{unit} is missing: the usage has {because}")]
    Missing {
        /// What is not there.
        unit: String,
        /// What is there instead.
        because: String,
    },
    /// The parts are more than the whole.
    #[error("the parts of {unit} are more than {unit} itself")]
    Contradiction {
        /// The whole.
        unit: String,
    },
    /// Tokens were used for which a price of the user's own has none.
    #[error("no price of {unit}, and the usage has them; write {price} = 0 if they are free")]
    NoPrice {
        /// What was used.
        unit: String,
        /// What the price is called that there is not.
        price: String,
    },
    /// A number of the working is too large.
    #[error("{unit} is too large")]
    TooLarge {
        /// Of what there is too much.
        unit: String,
    },
}

impl Counts {
    /// Whether nothing was reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn set(&mut self, unit: UnitIndex, amount: Decimal) {
        self.0[unit.place()] = Some(amount);
    }

    pub(super) const fn reported(&self, unit: UnitIndex) -> Option<Decimal> {
        self.0[unit.place()]
    }

    /// How much of a unit there was: what was reported, else nothing, unless something was reported that is of this unit, so
    /// that there must have been some.
    pub(super) fn amount(&self, unit: UnitIndex, units: &Units) -> Result<Decimal, Unpriced> {
        if let Some(amount) = self.reported(unit) {
            return Ok(amount);
        }
        let wanted = units.get(unit);
        let there = units.each().filter(|(index, _)| {
            let amount = self.reported(*index);
            amount.is_some_and(|amount| !amount.is_zero())
        });
        let there = there.map(|(_, unit)| unit);
        let missing = |because: &str| Unpriced::Missing {
            unit: wanted.name.to_string(),
            because: because.to_owned(),
        };
        if let Some(part) = there.clone().find(|unit| wanted.includes(unit)) {
            return Err(missing(&part.name));
        }
        for left in there.clone() {
            for right in there.clone() {
                if wanted.is_join_of(left, right) {
                    return Err(missing(&format!("{} and {}", left.name, right.name)));
                }
            }
        }
        Ok(Decimal::ZERO)
    }
}
