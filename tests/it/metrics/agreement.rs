//! `/metrics` says what is pushed: every series and value, in both text formats, with exemplars and the resource.

use std::collections::BTreeMap;

use super::{known_calls, pushed};
use crate::support::exposition::{Exposition, Labels};
use crate::support::gauge::Gauge;
use crate::support::otlp::{Attributes as _, Kind, Point};

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

/// The name that the OpenTelemetry rules give a metric in Prometheus, without the suffixes of its samples.
fn family(point: &Point) -> String {
    let mut name = point.name.replace('.', "_");
    let suffix = match point.unit.as_str() {
        "s" => "_seconds",
        "By" => "_bytes",
        "1" => "_ratio",
        _ => "",
    };
    if point.kind == Kind::Counter {
        name.truncate(name.trim_end_matches("_total").len());
    }
    if !name.ends_with(suffix) {
        name.push_str(suffix);
    }
    name
}

fn labels(point: &Point) -> Labels {
    let attributes = point.attributes().iter();
    attributes
        .map(|attribute| (attribute.key.replace('.', "_"), point.shown(&attribute.key)))
        .collect()
}

/// The samples that a pushed point must have in a page.
fn samples(point: &Point, format_bound: impl Fn(f64) -> String) -> Vec<((String, Labels), f64)> {
    let (family, labels) = (family(point), labels(point));
    match point.kind {
        Kind::Counter => vec![((family + "_total", labels), point.value)],
        Kind::Gauge | Kind::UpDownCounter => vec![((family, labels), point.value)],
        Kind::Exponential => unreachable!("buckets are explicit by default"),
        Kind::Histogram => {
            let bounds = point.bounds.iter().map(|bound| format_bound(*bound));
            let mut below = 0;
            let mut samples: Vec<_> = bounds
                .chain(["+Inf".to_owned()])
                .zip(&point.buckets)
                .map(|(bound, count)| {
                    below += count;
                    let mut labels = labels.clone();
                    labels.insert("le".to_owned(), bound);
                    ((format!("{family}_bucket"), labels), below as f64)
                })
                .collect();
            samples.push(((format!("{family}_sum"), labels.clone()), point.value));
            samples.push(((format!("{family}_count"), labels), point.count as f64));
            samples
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_the_push_agree_in_every_sample() {
    let gauge = Gauge::start().await;
    known_calls(&gauge).await;
    let points = pushed(&gauge, 4).await;
    for (accept, open) in [("text/plain", false), (OPEN, true)] {
        let page = gauge.scrape(accept).await;
        let page = Exposition::parse(page.text());
        let bound = |bound: f64| {
            if open {
                format!("{bound:?}")
            } else {
                bound.to_string()
            }
        };
        let expected: BTreeMap<_, _> = points
            .values()
            .flat_map(|point| samples(point, bound))
            .collect();
        let mut found = page.samples.clone();
        found.retain(|(name, _), _| name != "target_info" && !name.starts_with("process_"));
        for (key, value) in &expected {
            assert_eq!(found.get(key), Some(value), "{key:?}");
        }
        assert_eq!(found.len(), expected.len());
        assert_eq!((page.is_closed, page.units.is_empty()), (open, !open));
        for point in points.values() {
            let counter = point.kind == Kind::Counter && !open;
            let name = family(point) + if counter { "_total" } else { "" };
            let kind = match point.kind {
                Kind::Counter => "counter",
                Kind::Histogram | Kind::Exponential => "histogram",
                Kind::Gauge | Kind::UpDownCounter => "gauge",
            };
            assert_eq!(
                page.types.get(&name).map(String::as_str),
                Some(kind),
                "{name}"
            );
            assert!(page.helps.contains(&name), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exemplars_lead_to_the_call_they_come_from() {
    let gauge = Gauge::start().await;
    known_calls(&gauge).await;
    let received = gauge.received(7).await;
    gauge.settled(4).await;
    let page = Exposition::parse(gauge.scrape(OPEN).await.text());
    let traces: Vec<String> = received.spans.iter().map(|span| span.trace_id()).collect();
    for metric in [
        "llm_request_duration_seconds_bucket",
        "llm_stream_first_token_latency_seconds_bucket",
        "gen_ai_client_operation_duration_seconds_bucket",
        "gen_ai_server_time_per_output_token_seconds_bucket",
        "http_server_request_duration_seconds_bucket",
        "streamgauge_overhead_duration_seconds_bucket",
    ] {
        assert!(
            page.exemplars.keys().any(|(name, _)| name == metric),
            "{metric} has none"
        );
    }
    for ((name, labels), exemplar) in &page.exemplars {
        assert!(traces.contains(&exemplar.labels["trace_id"]), "{name}");
        let bound = labels["le"].replace("+Inf", "inf").parse::<f64>().unwrap();
        assert!(exemplar.value <= bound, "{name} {labels:?}");
        assert!(exemplar.at > 1.7e9, "{name}");
    }
    // The call that was turned away is the only one with this label.
    let failed = received
        .spans
        .iter()
        .find(|span| span.text("error.type").is_some());
    let failed = failed.unwrap();
    let of_failed = page.exemplars.iter().filter(|((name, labels), _)| {
        name.starts_with("gen_ai_client_operation_duration") && labels.contains_key("error_type")
    });
    let found: Vec<_> = of_failed
        .map(|(_, exemplar)| {
            (
                exemplar.labels["trace_id"].clone(),
                exemplar.labels["span_id"].clone(),
            )
        })
        .collect();
    assert_eq!(found, [(failed.trace_id(), failed.span_id())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_has_the_exemplars_of_the_page() {
    let gauge = Gauge::start().await;
    known_calls(&gauge).await;
    let points = pushed(&gauge, 4).await;
    let page = Exposition::parse(gauge.scrape(OPEN).await.text());
    let mut compared = 0;
    for point in points.values() {
        let (bucket, labels) = (family(point) + "_bucket", labels(point));
        let of_series = page.exemplars.iter().filter(|((name, of_bucket), _)| {
            let mut of_bucket = of_bucket.clone();
            of_bucket.remove("le");
            *name == bucket && of_bucket == labels
        });
        let mut on_page: Vec<_> = of_series
            .map(|(_, exemplar)| (exemplar.labels["trace_id"].clone(), exemplar.value))
            .collect();
        on_page.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        assert_eq!(point.exemplars, on_page, "{bucket} {labels:?}");
        compared += on_page.len();
    }
    assert_eq!(compared, page.exemplars.len());
    assert!(compared > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsampled_call_leaves_no_exemplar() {
    let gauge = Gauge::with(|program| program.env("OTEL_TRACES_SAMPLER", "always_off")).await;
    known_calls(&gauge).await;
    gauge.settled(4).await;
    let page = Exposition::parse(gauge.scrape(OPEN).await.text());
    assert!(page.exemplars.is_empty());
    let name = (
        "llm_requests_total".to_owned(),
        Labels::from([
            ("model".to_owned(), "m".to_owned()),
            ("upstream".to_owned(), "default".to_owned()),
        ]),
    );
    assert_eq!(page.samples[&name], 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scraper_chooses_the_format() {
    let gauge = Gauge::start().await;
    let classic = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, kind) in [
        ("*/*", classic),
        ("text/html", classic),
        (OPEN, open),
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
            open,
        ),
        (
            "application/openmetrics-text;q=0.1,text/plain;q=0.5",
            classic,
        ),
    ] {
        let page = gauge.scrape(accept).await;
        assert_eq!(page.header("content-type"), Some(kind), "{accept}");
        assert_eq!(Exposition::parse(page.text()).is_closed, kind == open);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_whose_metrics_they_are() {
    let gauge = Gauge::with(|program| {
        let attributes = "deployment.environment=prod,note=a%22b%5C";
        program.env("OTEL_RESOURCE_ATTRIBUTES", attributes)
    })
    .await;
    let page = Exposition::parse(gauge.scrape(OPEN).await.text());
    assert_eq!(page.types["target"], "info");
    let mut infos = page
        .samples
        .keys()
        .filter(|(name, _)| name == "target_info");
    let (_, labels) = infos.next().unwrap();
    assert_eq!(infos.next(), None);
    assert_eq!(labels["service_name"], "streamgauge");
    assert_eq!(labels["service_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(labels["deployment_environment"], "prod");
    assert_eq!(labels["deployment_environment_name"], "prod");
    assert_eq!(labels["note"], "a\"b\\");
}
