//! The text formats word for word, and which format a scraper gets.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;

use super::super::family::{For, Told};
use super::super::points::{Moment, Origin};
use super::super::registry::{Bounds, Registry};
use super::super::window::Clock;
use super::*;
use crate::semconv::{Attribute, Facets, Record as _, Sample, sample};

static BYTES: Metric = Metric {
    name: "proxy.bytes",
    unit: "By",
    description: "Bytes \"moved\".\nAll.",
    kind: Kind::Counter,
    exemplars: false,
};
static TOKENS: Metric = Metric {
    name: "llm.tokens.total",
    unit: "{token}",
    description: "Tokens.",
    kind: Kind::Counter,
    exemplars: false,
};
static LATENCY: Metric = Metric {
    name: "a.latency",
    unit: "s",
    description: "Latency.",
    kind: Kind::Histogram(&[0.5, 1.0]),
    exemplars: true,
};
static ERROR_RATE: Metric = Metric {
    name: "error.rate",
    unit: "1",
    description: "Rate.",
    kind: Kind::WindowMean,
    exemplars: false,
};

/// All of them, of which one may have so many series.
fn registry(series: usize) -> Registry {
    let metrics = [&BYTES, &TOKENS, &LATENCY, &ERROR_RATE];
    let bounds = Bounds {
        label_values: series,
        series,
    };
    let clock = Clock::new(Duration::from_secs(300), Instant::now());
    Registry::new(metrics.into_iter(), bounds, Told::default(), clock)
}

fn record(registry: &Registry, labels: &[Attribute<'_>], origin: Option<Origin>, sample: Sample) {
    let exchange = sample::plain();
    let moment = Moment {
        seen_at: SystemTime::UNIX_EPOCH,
        ended_at: UNIX_EPOCH + Duration::from_millis(1_234_056),
        origin,
    };
    let mut registry = registry.open();
    let facets = Facets::of(&exchange);
    let mut recorder = registry.recorder(&facets, moment, &[]);
    recorder.record_under(labels, &[Some(sample)]);
}

/// One metric of each kind, and what is made of them.
fn text(format: Format) -> String {
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", "gauge"))
        .with_attribute(KeyValue::new("path", "C:\\a \"b\"\nc"))
        .build();
    let registry = registry(2_000);
    let labels = [
        ("gen_ai.request.model", "say \"hi\"\\\n".into()),
        ("server.port", 443_u16.into()),
    ];
    let origin = Some(Origin {
        trace_id: 0xabc,
        span_id: 0xd,
    });
    record(&registry, &[], None, BYTES.sample(7_u64));
    record(&registry, &labels, None, TOKENS.sample(3_u64));
    record(&registry, &labels, None, LATENCY.sample(0.25));
    record(&registry, &labels, origin, LATENCY.sample(4.0));
    record(&registry, &[], None, ERROR_RATE.sample(0.5));
    let mut text = Text::begin(format, &resource);
    registry.collect(For::Scrape, |metric| text.metric(metric));
    String::from_utf8(text.finish().concat()).unwrap()
}

#[test]
fn a_long_text_is_cut_between_points() {
    const POINTS: usize = 1_000;
    let registry = registry(POINTS);
    for number in 0..POINTS {
        let label = format!("{number:0>200}");
        record(
            &registry,
            &[("label", label.into())],
            None,
            BYTES.sample(1_u64),
        );
    }
    let resource = Resource::builder_empty().build();
    let mut text = Text::begin(Format::Classic, &resource);
    registry.collect(For::Scrape, |metric| text.metric(metric));
    let pieces = text.finish();
    assert_eq!(pieces.len(), pieces.concat().len().div_ceil(PIECE));
    assert!(pieces.iter().all(|piece| piece.ends_with(b"} 1\n")));
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
        // What Prometheus asks for where it takes native histograms, before 3.0 and after.
        (
            Some(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                 application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            Format::Protobuf,
        ),
        (
            Some(
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; q=0.6,\
                 application/openmetrics-text; q=0.7",
            ),
            Format::OpenMetrics,
        ),
        (
            Some(
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            ),
            Format::Classic,
        ),
        (Some("application/vnd.google.protobuf"), Format::Classic),
    ];
    for (accept, format) in cases {
        assert_eq!(Format::negotiate(accept), format, "{accept:?}");
    }
}
