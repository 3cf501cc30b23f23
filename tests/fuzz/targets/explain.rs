//! Captures: whatever a user hands in is explained or refused.

use streamgauge::explain::{Options, explain, to_json};
use streamgauge::otel::Spans;
use streamgauge::pipeline::PipelineConfig;
use streamgauge::{observe, proxy, semconv};

use crate::mutate::Random;
use crate::run::shape;

pub(crate) fn check(input: &[u8], _: &mut Random) -> u64 {
    let options = Options {
        destination_given: false,
        vocabularies: semconv::all_named(semconv::names()),
        metrics: semconv::all_named(semconv::names_with_metrics()),
        path: None,
        upstreams: proxy::ProxyConfig::default().upstreams,
        spans: Spans::default(),
        inject_usage: true,
        observe: observe::ObserveConfig::default(),
        pipeline: PipelineConfig::default(),
    };
    match explain(input, &options) {
        Ok(explanations) => {
            let texts: String = explanations.iter().map(ToString::to_string).collect();
            let is_plain = texts
                .chars()
                .all(|letter| letter == '\n' || !letter.is_control());
            assert!(is_plain, "control characters");
            let value = to_json(&explanations);
            shape((explanations.len(), value.to_string().len() / 64))
        }
        Err(error) => shape(error.to_string()),
    }
}
