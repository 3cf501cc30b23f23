//! What is summed up of calls.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::exchange::{Exchange, Price};

/// Sums of calls. Money is exact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Calls to models.
    pub calls: u64,
    /// Input tokens, as reported.
    pub input_tokens: u64,
    /// Output tokens, as reported.
    pub output_tokens: u64,
    /// Input tokens of calls that reported none.
    pub estimated_input_tokens: u64,
    /// Output tokens of calls that reported none.
    pub estimated_output_tokens: u64,
    /// What the reported tokens cost, in USD.
    pub usd: Decimal,
    /// What the estimated tokens cost.
    pub estimated_usd: Decimal,
    /// Calls with usage and without a price.
    pub unpriced_calls: u64,
    /// Calls of which not all that they used is known, so that they cost what is summed up or more.
    pub partial_calls: u64,
}

impl Sums {
    /// Those of one call; `None` where it has neither tokens nor a price, such as one that failed.
    pub(super) fn of(exchange: &Exchange) -> Option<Self> {
        let estimate = exchange.usage.estimate;
        let (input, output) = (
            exchange.reported_input_tokens(),
            exchange.reported_output_tokens(),
        );
        let is_counted = input.is_some() || output.is_some() || estimate.is_there();
        if !is_counted && exchange.price.is_none() {
            return None;
        }
        let (mut usd, mut estimated_usd, mut unpriced_calls) = (Decimal::ZERO, Decimal::ZERO, 0);
        match &exchange.price {
            Some(Price::Known(cost)) if cost.estimated => estimated_usd = cost.total,
            Some(Price::Known(cost)) => usd = cost.total,
            Some(Price::Unknown(_)) => unpriced_calls = 1,
            None => {}
        }
        let cost = exchange.price.as_ref().and_then(Price::known);
        Some(Self {
            calls: 1,
            input_tokens: input.unwrap_or_default(),
            output_tokens: output.unwrap_or_default(),
            estimated_input_tokens: estimate.input_tokens.unwrap_or_default(),
            estimated_output_tokens: estimate.output_tokens.unwrap_or_default(),
            usd,
            estimated_usd,
            unpriced_calls,
            partial_calls: u64::from(cost.is_some_and(|cost| cost.partial)),
        })
    }

    /// What they cost in USD, as far as prices are known; `None` where no call has one.
    #[must_use]
    pub fn cost(&self) -> Option<Decimal> {
        (self.calls > self.unpriced_calls).then(|| self.usd.saturating_add(self.estimated_usd))
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.calls, other.calls),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (
                &mut self.estimated_input_tokens,
                other.estimated_input_tokens,
            ),
            (
                &mut self.estimated_output_tokens,
                other.estimated_output_tokens,
            ),
            (&mut self.unpriced_calls, other.unpriced_calls),
            (&mut self.partial_calls, other.partial_calls),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in [
            (&mut self.usd, other.usd),
            (&mut self.estimated_usd, other.estimated_usd),
        ] {
            // One of them is nothing as a rule, and adding takes a while.
            if !more.is_zero() {
                *sum = sum.saturating_add(more);
            }
        }
    }
}
