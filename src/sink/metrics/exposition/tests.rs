//! Both formats, word for word.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_sdk::metrics::Temporality;

use super::super::aggregates::{Aggregates, For};
use super::super::series::Origin;
use super::*;

/// One metric of each kind, and what `write` makes of them.
fn text(format: Format) -> String {
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", "gauge"))
        .with_attribute(KeyValue::new("path", "C:\\a \"b\"\nc"))
        .build();
    let aggregates = Aggregates::new(2_000, Temporality::Cumulative);
    let labels = [
        KeyValue::new("gen_ai.request.model", "say \"hi\"\\\n"),
        KeyValue::new("server.port", 443),
    ];
    let bytes = aggregates
        .meter("proxy.bytes")
        .u64_counter("proxy.bytes")
        .with_unit("By")
        .with_description("Bytes \"moved\".\nAll.")
        .build();
    bytes.add(7, &[]);
    aggregates
        .meter("llm.tokens.total")
        .u64_counter("llm.tokens.total")
        .with_unit("{token}")
        .with_description("Tokens.")
        .build()
        .add(3, &labels);
    let meter = aggregates.meter("a.latency");
    let latency = meter
        .f64_histogram("a.latency")
        .with_unit("s")
        .with_boundaries(vec![0.5, 1.0]);
    let latency = latency.with_description("Latency.").build();
    latency.record(0.25, &labels);
    latency.record(4.0, &labels);
    aggregates
        .meter("error.rate")
        .f64_gauge("error.rate")
        .with_unit("1")
        .with_description("Rate.")
        .build()
        .record(0.5, &[]);
    let origin = Origin {
        trace_id: 0xabc,
        span_id: 0xd,
        at: UNIX_EPOCH + Duration::from_millis(1_234_056),
    };
    let kept = vec![None, None, Some(Exemplar { value: 4.0, origin })];
    let kept = [(Arc::from(labels), kept)].into_iter().collect();
    let exemplars = Exemplars::from_iter([("a.latency", kept)]);
    let mut step = || ();
    let mut text = Text::begin(format, &resource, &exemplars, &mut step);
    aggregates.read(For::Pull, |metric| text.metric(metric));
    text.finish().concat()
}

#[test]
fn a_long_text_is_cut_between_points_and_each_point_is_a_step() {
    const POINTS: usize = 1_000;
    let aggregates = Aggregates::new(POINTS, Temporality::Cumulative);
    let counter = aggregates.meter("calls").u64_counter("calls").build();
    for number in 0..POINTS {
        let label = format!("{number:0>200}");
        counter.add(1, &[KeyValue::new("label", label)]);
    }
    let (resource, none) = (Resource::builder_empty().build(), Exemplars::default());
    let mut steps = 0;
    let mut step = || steps += 1;
    let mut text = Text::begin(Format::Classic, &resource, &none, &mut step);
    aggregates.read(For::Pull, |metric| text.metric(metric));
    let pieces = text.finish();
    // To collect them is one step; the labels of each are one, its lines another.
    assert_eq!(steps, 1 + 2 * POINTS);
    assert_eq!(pieces.len(), pieces.concat().len().div_ceil(PIECE));
    assert!(pieces.iter().all(|piece| piece.ends_with("} 1\n")));
}

#[test]
fn openmetrics_has_units_exemplars_and_an_end() {
    let expected = r##"# HELP target Resource that the metrics come from.
# TYPE target info
target_info{path="C:\\a \"b\"\nc",service_name="gauge"} 1
# HELP proxy_bytes Bytes \"moved\".\nAll.
# TYPE proxy_bytes counter
# UNIT proxy_bytes bytes
proxy_bytes_total 7
# HELP llm_tokens Tokens.
# TYPE llm_tokens counter
llm_tokens_total{gen_ai_request_model="say \"hi\"\\\n",server_port="443"} 3
# HELP a_latency_seconds Latency.
# TYPE a_latency_seconds histogram
# UNIT a_latency_seconds seconds
a_latency_seconds_bucket{gen_ai_request_model="say \"hi\"\\\n",server_port="443",le="0.5"} 1
a_latency_seconds_bucket{gen_ai_request_model="say \"hi\"\\\n",server_port="443",le="1.0"} 1
a_latency_seconds_bucket{gen_ai_request_model="say \"hi\"\\\n",server_port="443",le="+Inf"} 2 # {trace_id="00000000000000000000000000000abc",span_id="000000000000000d"} 4 1234.056
a_latency_seconds_sum{gen_ai_request_model="say \"hi\"\\\n",server_port="443"} 4.25
a_latency_seconds_count{gen_ai_request_model="say \"hi\"\\\n",server_port="443"} 2
# HELP error_rate_ratio Rate.
# TYPE error_rate_ratio gauge
# UNIT error_rate_ratio ratio
error_rate_ratio 0.5
# EOF
"##;
    assert_eq!(text(Format::OpenMetrics), expected);
}

#[test]
fn the_classic_format_names_counters_in_full_and_has_no_exemplars() {
    let expected = r##"# HELP target_info Resource that the metrics come from.
# TYPE target_info gauge
target_info{path="C:\\a \"b\"\nc",service_name="gauge"} 1
# HELP proxy_bytes_total Bytes "moved".\nAll.
# TYPE proxy_bytes_total counter
proxy_bytes_total 7
# HELP llm_tokens_total Tokens.
# TYPE llm_tokens_total counter
llm_tokens_total{gen_ai_request_model="say \"hi\"\\\n",server_port="443"} 3
# HELP a_latency_seconds Latency.
# TYPE a_latency_seconds histogram
a_latency_seconds_bucket{gen_ai_request_model="say \"hi\"\\\n",server_port="443",le="0.5"} 1
a_latency_seconds_bucket{gen_ai_request_model="say \"hi\"\\\n",server_port="443",le="1"} 1
a_latency_seconds_bucket{gen_ai_request_model="say \"hi\"\\\n",server_port="443",le="+Inf"} 2
a_latency_seconds_sum{gen_ai_request_model="say \"hi\"\\\n",server_port="443"} 4.25
a_latency_seconds_count{gen_ai_request_model="say \"hi\"\\\n",server_port="443"} 2
# HELP error_rate_ratio Rate.
# TYPE error_rate_ratio gauge
error_rate_ratio 0.5
"##;
    assert_eq!(text(Format::Classic), expected);
}

#[test]
fn the_scraper_chooses_the_format() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                      text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    let cases = [
        (Some(prometheus), Format::OpenMetrics),
        (Some("application/openmetrics-text"), Format::OpenMetrics),
        (
            Some("application/openmetrics-text;q=0.2, text/plain;q=0.9"),
            Format::Classic,
        ),
        (Some("application/openmetrics-text;q=0"), Format::Classic),
        (Some("application/openmetrics-text;q=x"), Format::Classic),
        (Some("text/html,*/*"), Format::Classic),
        (None, Format::Classic),
    ];
    for (accept, format) in cases {
        assert_eq!(Format::negotiate(accept), format, "{accept:?}");
    }
}

#[test]
fn keys_that_become_one_name_share_it() {
    let keys = [
        ("a.b", Cow::Borrowed("1")),
        ("a_b", Cow::Borrowed("2")),
        ("9lives", Cow::Borrowed("3")),
    ];
    let labels = Names::default().labels(keys.into_iter());
    assert_eq!(labels, r#"_9lives="3",a_b="1;2""#);
}
