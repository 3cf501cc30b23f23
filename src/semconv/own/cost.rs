//! What calls cost, and which have no price.
//!
//! Amounts come from the price catalogue or the user's own prices. Those of tokens that we counted ourselves stand apart from those
//! of reported ones.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::{ATTRIBUTED, CALL, REASON};
use crate::exchange::{Exchange, Price};
use crate::semconv::Attributes;
use crate::semconv::metric::{Kind, Metric, PICODOLLARS, Record, counter};

pub(super) static ESTIMATED: Metric = Metric {
    kind: Kind::Cost,
    ..counter(
        "streamgauge.cost.estimated",
        "{USD}",
        "Cost of calls whose tokens nobody reported and that were counted here; not part of llm.tokens.cost.",
    )
};
pub(super) static UNPRICED: Metric = counter(
    "streamgauge.cost.unpriced",
    "{call}",
    "Calls with usage and without a price, by reason: no known provider at the upstream, no price for the model, none of your own for some of the tokens, or a usage that does not add up.",
);

pub(super) static PARTIAL: Metric = counter(
    "streamgauge.cost.partial",
    "{call}",
    "Calls with a price of which not all that they used is known, so that they cost what is counted or more.",
);

/// An amount of money in whole picodollars; `None` for nothing.
pub(in crate::semconv) fn picodollars(usd: Decimal) -> Option<u64> {
    let amount = usd.checked_mul(PICODOLLARS.into())?.round().to_u64()?;
    (amount > 0).then_some(amount)
}

/// Puts the cost on the inference span, or why it has none.
pub(super) fn attributes(exchange: &Exchange, span: &mut Attributes<'_>) {
    match &exchange.price {
        Some(Price::Known(cost)) => {
            let usd = cost.total.to_f64();
            if cost.estimated {
                span.put_some("streamgauge.cost.estimated_usd", usd);
            } else {
                span.put_some("streamgauge.cost.usd", usd);
            }
            if cost.partial {
                span.put("streamgauge.cost.partial", true);
            }
            span.put("streamgauge.cost.price", &*cost.entry);
            span.put_some("streamgauge.cost.price.since", cost.since.as_deref());
        }
        Some(Price::Unknown(why)) => span.put("streamgauge.cost.unpriced", why.as_str()),
        None => {}
    }
}

pub(super) fn record(exchange: &Exchange, record: &mut dyn Record) {
    match &exchange.price {
        Some(Price::Known(cost)) => {
            if cost.estimated {
                let sample = picodollars(cost.total).map(|amount| ESTIMATED.sample(amount));
                record.record(&ATTRIBUTED, None, &[sample]);
            }
            if cost.partial {
                record.record(&CALL, None, &[Some(PARTIAL.sample(1_u64))]);
            }
        }
        Some(Price::Unknown(why)) => {
            let by = (REASON, why.as_str());
            record.record(&CALL, Some(by), &[Some(UNPRICED.sample(1_u64))]);
        }
        None => {}
    }
}
