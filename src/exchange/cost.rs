//! What an exchange cost. Set by the pipeline.

use std::sync::Arc;

use rust_decimal::Decimal;

/// What the usage of an exchange costs, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Price {
    /// So much.
    Known(Cost),
    /// Nobody says what it costs.
    Unknown(Unpriced),
}

/// Amounts in USD, exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Of what went in.
    pub input: Decimal,
    /// Of what came out.
    pub output: Decimal,
    /// Of all of it: searches and the like are neither input nor output.
    pub total: Decimal,
    /// Whose price it is, and for which model: `openai/gpt-4o`.
    pub entry: Arc<str>,
    /// The day from which on the price holds, where that is known.
    pub since: Option<String>,
    /// The tokens were counted by us, for want of a report.
    pub estimated: bool,
    /// Not all that was used is known, so that it cost this or more.
    pub partial: bool,
}

/// Why an exchange with usage has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unpriced {
    /// Nobody knows whose models the upstream has.
    Provider,
    /// No price is known of this model.
    Model,
    /// A price of the user's own has none for some of the tokens.
    Price,
    /// The usage lacks something that has a price, or contradicts itself.
    Usage,
}

impl Unpriced {
    /// The value of the label `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Price => "price",
            Self::Usage => "usage",
        }
    }
}

impl Cost {
    /// Of what is neither input nor output: searches, requests.
    #[must_use]
    pub fn other(&self) -> Decimal {
        self.total - self.input - self.output
    }
}

impl Price {
    /// The amounts, where they are known.
    #[must_use]
    pub const fn known(&self) -> Option<&Cost> {
        match self {
            Self::Known(cost) => Some(cost),
            Self::Unknown(_) => None,
        }
    }

    /// The amounts of what was reported, not counted by us.
    #[must_use]
    pub fn reported(&self) -> Option<&Cost> {
        self.known().filter(|cost| !cost.estimated)
    }
}
