//! Work for nobody: what was generated for clients that had left, what came of it, answers that were cut by their limit, requests
//! that were under way twice, and those that a client's library sent again.

use super::{BASE, CALL, USAGE_SOURCE, cost, source};
use crate::exchange::{End, Exchange, Fate};
use crate::semconv::Attributes;
use crate::semconv::metric::{Kind, Metric, Record, buckets, counter};

/// How the upstream was let go of.
pub(super) const FATE: &str = "streamgauge.abandoned.upstream";
const DURATION_SPAN: &str = "streamgauge.abandoned.duration";
const BYTES_SPAN: &str = "streamgauge.abandoned.bytes";

pub(super) static INPUT: Metric = counter(
    "streamgauge.abandoned.input_tokens",
    "{token}",
    "Input tokens of calls whose client left before the answer was complete, reported and estimated ones apart.",
);
pub(super) static OUTPUT: Metric = counter(
    "streamgauge.abandoned.output_tokens",
    "{token}",
    "Output tokens of calls whose client left before the answer was complete, reported and estimated ones apart.",
);
pub(super) static COST: Metric = Metric {
    kind: Kind::Cost,
    ..counter(
        "streamgauge.abandoned.cost",
        "{USD}",
        "Cost of calls whose client left before the answer was complete, that of reported and of estimated tokens apart.",
    )
};
pub(super) static DURATION: Metric = Metric {
    name: DURATION_SPAN,
    unit: "s",
    description: "Time from the departure of a client, as soon as it was noticed, until the upstream was let go of: its connection closed, its stream reset, or its answer read to the end or a limit.",
    kind: Kind::Histogram(buckets::OVERHEAD),
    exemplars: true,
};
pub(super) static BYTES: Metric = counter(
    BYTES_SPAN,
    "By",
    "Bytes of answers that came after their client had left: those that were read on, and those that waited in the connection when it was closed.",
);
pub(super) static CUT_BY_LENGTH: Metric = counter(
    "streamgauge.answers.cut_by_length",
    "{answer}",
    "Answers that ended because they had as many tokens as they might have.",
);
pub(super) static IDENTICAL: Metric = counter(
    "streamgauge.requests.identical",
    "{request}",
    "Requests whose body another one had that was with the same upstream at the same time, and was over first.",
);
pub(super) static RETRIES: Metric = counter(
    "streamgauge.client.retries",
    "{request}",
    "Requests that the client's library says it has sent before.",
);
pub(super) static ESTIMATE_RATIO: Metric = Metric {
    name: "streamgauge.usage.estimate.ratio",
    unit: "1",
    description: "Tokens counted here divided by those reported, of calls that were checked: 1 is exact.",
    kind: Kind::Histogram(buckets::RATIO),
    exemplars: true,
};

/// Which tokens, on `streamgauge.usage.estimate.ratio`.
const TOKEN_TYPE: &str = "token.type";

/// Puts what became of the client's request on the span that stands for it.
pub(super) fn request(exchange: &Exchange, span: &mut Attributes<'_>) {
    if let Some(after) = exchange.aftermath {
        span.put(FATE, after.fate.as_str());
        span.put(DURATION_SPAN, after.lasted);
        span.put(BYTES_SPAN, after.bytes);
    }
    if exchange.is_identical {
        span.put("streamgauge.request.identical", true);
    }
    let again = exchange.http.retry_count.filter(|count| *count > 0);
    span.put_some("streamgauge.client.retry_count", again);
}

pub(super) fn record(exchange: &Exchange, record: &mut dyn Record) {
    if let Some(after) = exchange.aftermath {
        let by = (FATE, after.fate.as_str());
        let bytes = Some(BYTES.sample(after.bytes)).filter(|_| after.bytes > 0);
        record.record(
            &BASE,
            Some(by),
            &[Some(DURATION.sample(after.lasted)), bytes],
        );
    }
    if exchange.end == End::ClientLeft {
        record_abandoned(exchange, record);
    }
    if exchange.is_cut_by_length() {
        record.record(&CALL, None, &[Some(CUT_BY_LENGTH.sample(1_u64))]);
    }
    if exchange.is_identical {
        record.record(&CALL, None, &[Some(IDENTICAL.sample(1_u64))]);
    }
    if exchange.http.retry_count.is_some_and(|count| count > 0) {
        record.record(&BASE, None, &[Some(RETRIES.sample(1_u64))]);
    }
    record_checked(exchange, record);
}

/// What was generated for nobody.
fn record_abandoned(exchange: &Exchange, record: &mut dyn Record) {
    let Some(from) = exchange.usage_source() else {
        return;
    };
    let (usage, estimate) = (&exchange.usage, exchange.usage.estimate);
    let [input, output] = match estimate.is_there() {
        true => [estimate.input_tokens, estimate.output_tokens],
        false => [usage.input_tokens, usage.output_tokens],
    };
    let priced = exchange.price.as_ref().and_then(|price| price.known());
    let usd = priced.and_then(|priced| cost::picodollars(priced.total));
    let samples = [
        input.map(|count| INPUT.sample(count)),
        output.map(|count| OUTPUT.sample(count)),
        usd.map(|amount| COST.sample(amount)),
    ];
    record.record(&CALL, Some((USAGE_SOURCE, source(from))), &samples);
}

/// How far the counting of tokens is off.
fn record_checked(exchange: &Exchange, record: &mut dyn Record) {
    let (usage, checked) = (&exchange.usage, exchange.usage.checked);
    for (kind, counted, reported) in [
        ("prompt", checked.input_tokens, usage.input_tokens),
        ("completion", checked.output_tokens, usage.output_tokens),
    ] {
        let reported = reported.filter(|reported| *reported > 0);
        let ratio = counted.zip(reported);
        let sample = ratio
            .map(|(counted, reported)| ESTIMATE_RATIO.sample(counted as f64 / reported as f64));
        record.record(&CALL, Some((TOKEN_TYPE, kind)), &[sample]);
    }
}

/// What becomes of upstreams whose client has left.
pub(super) fn fates() -> impl Iterator<Item = &'static str> {
    Fate::ALL.into_iter().map(Fate::as_str)
}

#[cfg(test)]
mod tests {
    use super::super::Own;
    use crate::exchange::{Aftermath, Estimate, Exchange, Fate, Usage};
    use crate::semconv::sample::{self, Recorded};
    use std::time::Duration;

    fn waste(exchange: &Exchange) -> Vec<String> {
        let names = [
            "abandoned",
            "cut_by_length",
            "identical",
            "client.retries",
            "estimate.ratio",
        ];
        let lines = Recorded::lines(&Own, exchange).into_iter();
        lines
            .filter(|line| names.iter().any(|name| line.contains(name)))
            .collect()
    }

    #[test]
    fn a_call_that_went_well_wastes_nothing() {
        for exchange in [sample::streamed(), sample::unary(), sample::plain()] {
            assert!(waste(&exchange).is_empty(), "{:?}", waste(&exchange));
        }
    }

    #[test]
    fn tokens_for_a_client_that_left_are_told_by_where_they_come_from() {
        let mut exchange = sample::client_left();
        let estimate = Estimate {
            input_tokens: Some(7),
            output_tokens: Some(2),
        };
        exchange.usage.estimate = estimate;
        exchange.aftermath = Some(Aftermath {
            lasted: Duration::from_micros(50),
            bytes: 0,
            fate: Fate::Cancelled,
        });
        let by = |what: &str, source: &str| {
            format!(
                "streamgauge.abandoned.{what} {{upstream=main model=gpt-4o http.route=/v1/chat/completions streamgauge.usage.source={source}}}"
            )
        };
        assert_eq!(
            waste(&exchange),
            [
                "streamgauge.abandoned.duration {upstream=main streamgauge.abandoned.upstream=cancelled} 5e-5".to_owned(),
                by("input_tokens", "estimated") + " 7",
                by("output_tokens", "estimated") + " 2",
            ]
        );
        exchange.usage = Usage {
            input_tokens: Some(12),
            output_tokens: Some(5),
            ..Usage::default()
        };
        exchange.aftermath = exchange.aftermath.map(|after| Aftermath {
            bytes: 300,
            fate: Fate::Drained,
            ..after
        });
        let told = waste(&exchange);
        assert!(
            told.contains(&(by("output_tokens", "reported") + " 5")),
            "{told:?}"
        );
        assert!(
            told.contains(&"streamgauge.abandoned.bytes {upstream=main streamgauge.abandoned.upstream=drained} 300".to_owned()),
            "{told:?}"
        );
    }

    #[test]
    fn a_check_says_how_far_the_counting_is_off_and_nothing_else() {
        let mut exchange = sample::unary();
        exchange.usage.checked = Estimate {
            input_tokens: Some(9),
            output_tokens: Some(3),
        };
        let told = waste(&exchange);
        let [prompt, completion] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(prompt.ends_with("token.type=prompt} 0.75"), "{prompt}");
        assert!(
            completion.ends_with("token.type=completion} 1.0"),
            "{completion}"
        );
        exchange.usage.checked = Estimate::default();
        let unchecked = Recorded::lines(&Own, &exchange);
        exchange.usage.checked.input_tokens = Some(9);
        let checked = Recorded::lines(&Own, &exchange);
        assert_eq!(checked.len(), unchecked.len() + 1);
    }

    #[test]
    fn an_answer_is_cut_by_length_however_its_api_calls_it() {
        for (reason, is_cut) in [
            ("length", 1),
            ("max_tokens", 1),
            ("max_output_tokens", 1),
            ("stop", 0),
        ] {
            let mut exchange = sample::unary();
            exchange.response.choices[0].finish_reason = Some(reason.to_owned());
            assert_eq!(waste(&exchange).len(), is_cut, "{reason}");
        }
    }
}
