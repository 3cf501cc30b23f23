//! From a finished exchange to the text of a scrape.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message as _;

use super::*;
use crate::exchange::{End, Failure, Integrity, Limited, Operation, Quirk, RateLimit};
use crate::otel::Temporality;
use crate::semconv::{own, sample};

const OPEN_METRICS: Option<&str> = Some("application/openmetrics-text");

fn metrics(label_values: usize) -> Metrics {
    Metrics::new(
        &MetricsConfig {
            label_values,
            ..MetricsConfig::default()
        },
        Resource::builder_empty().build(),
    )
}

fn finish(metrics: &Metrics, exchange: Exchange) {
    metrics.finished(ExchangeId(1), &Arc::new(exchange));
}

fn asking_for(model: &str) -> Exchange {
    let mut exchange = sample::unary();
    exchange.request.model = Some(model.to_owned());
    exchange
}

fn page(scrape: &Scrape) -> String {
    String::from_utf8(scrape.pieces.concat()).unwrap()
}

/// The samples of one metric, in the classic format.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = page(&metrics.render(None));
    text.lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_exchange_is_counted_once() {
    let metrics = metrics(200);
    finish(&metrics, sample::unary());
    finish(&metrics, sample::unary());
    let expected = [r#"llm_requests_total{model="gpt-4o",upstream="main"} 2"#];
    assert_eq!(lines(&metrics, "llm_requests_total"), expected);
}

#[test]
fn a_call_that_is_no_inference_has_one_duration_whichever_generations_are_spoken() {
    for vocabularies in [
        &["gen_ai"][..],
        &["gen_ai_2025"],
        &["gen_ai", "gen_ai_2025"],
        &["gen_ai_2025", "gen_ai"],
        &semconv::DEFAULTS,
    ] {
        let vocabularies = vocabularies.iter().filter_map(|name| semconv::named(name));
        let config = MetricsConfig {
            vocabularies: vocabularies.collect(),
            ..MetricsConfig::default()
        };
        let metrics = Metrics::new(&config, Resource::builder_empty().build());
        let mut exchange = sample::embeddings();
        exchange.operation = Some(Operation::Rerank);
        finish(&metrics, exchange);
        let text = page(&metrics.render(None));
        let counts = lines(&metrics, "gen_ai_client_operation_duration_seconds_count");
        assert_eq!(counts.len(), 1, "{text}");
        assert!(counts[0].ends_with(" 1"), "{text}");
        let of_inference = ["gen_ai_client_inference", "gen_ai_server"];
        assert!(
            !of_inference.iter().any(|name| text.contains(name)),
            "{text}"
        );
    }
}

#[test]
fn repeated_gaps_count_each_in_their_bucket() {
    let config = MetricsConfig {
        vocabularies: semconv::all_named(["gen_ai_2025"]),
        ..MetricsConfig::default()
    };
    let metrics = Metrics::new(&config, Resource::builder_empty().build());
    finish(&metrics, sample::streamed());
    let name = "gen_ai_client_operation_time_per_output_chunk_seconds";
    let buckets = lines(&metrics, &format!("{name}_bucket"));
    assert!(
        buckets[1].contains(r#"le="0.02""#) && buckets[1].ends_with(" 3"),
        "{}",
        buckets[1]
    );
    assert!(
        buckets[8].contains(r#"le="2.56""#) && buckets[8].ends_with(" 4"),
        "{}",
        buckets[8]
    );
    assert!(lines(&metrics, &format!("{name}_count"))[0].ends_with(" 4"));
    assert!(lines(&metrics, &format!("{name}_sum"))[0].ends_with(" 2.045"));
}

#[test]
fn what_was_never_recorded_has_no_series() {
    let metrics = metrics(200);
    finish(&metrics, sample::unary());
    let text = page(&metrics.render(None));
    assert!(
        !text.contains("cache_read") && !text.contains("llm_errors"),
        "{text}"
    );
}

/// Metrics of which the upstreams are known.
fn of_upstreams(label_values: usize, upstreams: &[impl ToString]) -> Metrics {
    let config = MetricsConfig {
        label_values,
        upstreams: upstreams.iter().map(ToString::to_string).collect(),
        ..MetricsConfig::default()
    };
    Metrics::new(&config, Resource::builder_empty().build())
}

#[test]
fn counters_whose_labels_are_known_begin_at_zero_for_each_upstream() {
    let metrics = of_upstreams(200, &["main", "other"]);
    let integrity = lines(&metrics, "streamgauge_integrity_total");
    assert_eq!(integrity.len(), 2 * 6, "{integrity:?}");
    let different = r#"streamgauge_integrity_total{result="different",upstream="main"}"#;
    assert!(
        integrity.contains(&format!("{different} 0")),
        "{integrity:?}"
    );
    let mut exchange = sample::unary();
    exchange.integrity = Some(Integrity::Different);
    finish(&metrics, exchange);
    let integrity = lines(&metrics, "streamgauge_integrity_total");
    assert_eq!(integrity.len(), 2 * 6, "{integrity:?}");
    assert!(
        integrity.contains(&format!("{different} 1")),
        "{integrity:?}"
    );
}

#[test]
fn every_first_count_of_such_a_counter_is_in_a_series_that_was_there() {
    let metrics = of_upstreams(200, &["main", "other"]);
    finish(&metrics, asking_for("gpt-4o"));
    let from_zero = own::FROM_ZERO.iter();
    let from_zero: Vec<String> = from_zero
        .map(|row| row.metric.name.replace('.', "_"))
        .collect();
    let series = |metrics: &Metrics| -> HashSet<String> {
        let counts = counts(metrics).into_iter().map(|(series, _)| series);
        let is_it = |series: &str, name: &str| {
            let metric = series.split('{').next().unwrap();
            metric.trim_end_matches("_total") == name
        };
        counts
            .filter(|series| from_zero.iter().any(|name| is_it(series, name)))
            .collect()
    };
    let before = series(&metrics);
    let mut moved = sample::streamed();
    moved.moved = vec!["system_fingerprint"];
    moved.problems.missed_frames = 1;
    moved.quirks = [Quirk::NoSpace].into_iter().collect();
    let mut cut = sample::unary();
    cut.end = End::Cut;
    cut.failure = Some(Failure {
        kind: "stream_truncated".into(),
        message: String::new(),
    });
    let mut rejected = sample::plain();
    rejected.upstream = None;
    rejected.end = End::Rejected;
    rejected.failure = Some(Failure {
        kind: "no_route".into(),
        message: String::new(),
    });
    let mut timeout = cut.clone();
    timeout.end = End::Timeout;
    for exchange in [
        moved,
        cut,
        timeout,
        sample::rate_limited(),
        sample::client_left(),
        sample::repeated(),
    ] {
        finish(&metrics, exchange);
    }
    let mut new: Vec<String> = series(&metrics).difference(&before).cloned().collect();
    new.sort();
    assert!(new.is_empty(), "{new:#?}");
    finish(&metrics, rejected);
    let rejections = lines(&metrics, "streamgauge_requests_rejected_total");
    assert_eq!(rejections.len(), own::REJECTIONS.len(), "{rejections:?}");
}

#[test]
fn a_tight_bound_on_values_folds_nothing_that_is_known() {
    let metrics = of_upstreams(1, &["main", "other"]);
    finish(&metrics, sample::unary());
    let text = page(&metrics.render(None));
    let quirks = lines(&metrics, "streamgauge_quirks_total");
    assert!(
        quirks.len() > 100 && !quirks.iter().any(|line| line.contains("_other")),
        "{text}"
    );
}

#[test]
fn however_many_upstreams_there_are_each_has_its_counters() {
    let metrics = of_upstreams(1, &Vec::from_iter(0..100));
    let quirks = lines(&metrics, "streamgauge_quirks_total");
    assert_eq!(quirks.len(), 100 * Quirk::ALL.len());
    finish(&metrics, sample::unary());
    assert!(!page(&metrics.render(None)).contains("overflow"));
}

#[test]
fn differences_tell_no_zeros_of_what_begins_at_zero() {
    let (tell, pushed) = channel();
    let pushing = Pushing {
        interval: HOUR,
        temporality: Temporality::Delta,
        buckets: Buckets::Explicit,
        export: move |request: Bytes| {
            tell.send(ExportMetricsServiceRequest::decode(&*request)?)?;
            Ok(0)
        },
    };
    let config = MetricsConfig {
        upstreams: vec!["main".into()],
        ..MetricsConfig::default()
    };
    let metrics = Metrics::pushing(&config, Resource::builder_empty().build(), pushing);
    finish(&metrics, sample::unary());
    metrics.flush(LONG.into());
    let request = pushed.try_iter().next().unwrap();
    let of_scope = &request.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<_> = of_scope.iter().map(|metric| metric.name.as_str()).collect();
    assert!(names.contains(&"streamgauge.integrity"), "{names:?}");
    assert!(!names.contains(&"streamgauge.quirks"), "{names:?}");
}

#[test]
fn values_beyond_the_bound_fold_into_other() {
    let metrics = metrics(2);
    for model in ["a", "b", "c", "d", "a"] {
        finish(&metrics, asking_for(model));
    }
    let expected = [
        r#"llm_requests_total{model="_other",upstream="main"} 2"#,
        r#"llm_requests_total{model="a",upstream="main"} 2"#,
        r#"llm_requests_total{model="b",upstream="main"} 1"#,
    ];
    assert_eq!(lines(&metrics, "llm_requests_total"), expected);
}

/// Counters and counts of histograms, each with its labels.
fn counts(metrics: &Metrics) -> Vec<(String, u64)> {
    let text = page(&metrics.render(None));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| line.rsplit_once(' '));
    let counts = samples.filter(|(series, _)| {
        let name = series.split('{').next().unwrap();
        name.ends_with("_total") || name.ends_with("_count")
    });
    counts
        .map(|(series, count)| (series.to_owned(), count.parse().unwrap()))
        .collect()
}

#[test]
fn an_exchange_like_one_before_counts_in_the_same_series() {
    let [once, twice] = [1, 2].map(|rounds| {
        let metrics = metrics(200);
        for _ in 0..rounds {
            for exchange in [
                sample::unary(),
                sample::rate_limited(),
                sample::streamed(),
                sample::client_left(),
                sample::embeddings(),
                sample::plain(),
            ] {
                finish(&metrics, exchange);
            }
        }
        counts(&metrics)
    });
    let doubled: Vec<_> = once
        .into_iter()
        .map(|(series, count)| (series, 2 * count))
        .collect();
    assert_eq!(doubled, twice);
}

#[test]
fn exchanges_that_differ_in_one_label_only_are_told_apart() {
    let metrics = metrics(200);
    finish(&metrics, sample::unary());
    let mut other = sample::unary();
    other.http.version = "2";
    finish(&metrics, other);
    let mut by_route = sample::unary();
    by_route.http.route = Some("/v1/completions");
    finish(&metrics, by_route);
    let counts = counts(&metrics);
    let of = |name: &str| -> Vec<u64> {
        let of_metric = counts.iter().filter(|(series, _)| series.starts_with(name));
        of_metric.map(|(_, count)| *count).collect()
    };
    assert_eq!(of("http_server_request_duration_seconds_count"), [1, 1, 1]);
    let exchanges = of("streamgauge_exchanges_total").into_iter();
    assert_eq!(
        exchanges.filter(|count| *count > 0).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(of("llm_requests_total"), [3]);
}

#[test]
fn samples_that_differ_in_an_added_label_only_are_told_apart() {
    let metrics = metrics(200);
    for _ in 0..2 {
        finish(&metrics, sample::streamed());
    }
    let firsts = lines(&metrics, "streamgauge_time_to_first_seconds_count");
    let label = |first| format!("{{first=\"{first}\",upstream=\"main\"}} 2");
    let expected = [
        "byte",
        "content",
        "event",
        "reasoning",
        "token",
        "tool_call",
    ]
    .map(label);
    assert!(
        firsts
            .iter()
            .map(|line| &line[line.find('{').unwrap()..])
            .eq(&expected),
        "{firsts:?}"
    );
}

#[test]
fn more_models_than_are_remembered_lose_no_count() {
    let metrics = metrics(2_000);
    for _ in 0..2 {
        for number in 0..1_100 {
            finish(&metrics, asking_for(&format!("model-{number}")));
        }
    }
    let requests = lines(&metrics, "llm_requests_total");
    assert_eq!(requests.len(), 1_100);
    assert!(requests.iter().all(|line| line.ends_with(" 2")));
}

#[test]
fn the_error_rate_is_per_model_and_upstream() {
    let metrics = metrics(200);
    for exchange in [
        sample::rate_limited(),
        sample::unary(),
        sample::unary(),
        sample::client_left(),
    ] {
        finish(&metrics, exchange);
    }
    let expected = [r#"llm_error_rate_ratio{model="gpt-4o",upstream="main"} 0.25"#];
    assert_eq!(lines(&metrics, "llm_error_rate_ratio"), expected);
}

#[test]
fn without_a_request_there_is_no_error_rate() {
    let metrics = metrics(200);
    finish(&metrics, sample::plain());
    assert!(lines(&metrics, "llm_error_rate_ratio").is_empty());
}

#[test]
fn latency_buckets_carry_the_trace() {
    let metrics = metrics(200);
    finish(&metrics, sample::streamed());
    let scrape = metrics.render(OPEN_METRICS);
    let text = page(&scrape);
    let exemplar = r#"le="2.5"} 1 # {trace_id="0af7651916cd43dd8448eb211c80319c",span_id="0000000000000002"} 2.09 1700000002.110"#;
    let line = text.lines().find(|line| {
        line.contains(" # ") && line.starts_with("llm_request_duration_seconds_bucket")
    });
    assert!(
        line.is_some_and(|line| line.ends_with(exemplar)),
        "{line:?}"
    );
    assert!(
        !text
            .lines()
            .any(|line| line.contains(" # ") && line.contains("tokens"))
    );
    assert_eq!(
        scrape.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
}

#[test]
fn an_unsampled_trace_is_no_exemplar() {
    let metrics = metrics(200);
    let mut exchange = sample::streamed();
    if let Some(trace) = &mut exchange.trace {
        trace.sampled = false;
    }
    finish(&metrics, exchange);
    let text = page(&metrics.render(OPEN_METRICS));
    assert!(!text.lines().any(|line| line.contains(" # {")));
}

#[test]
fn observed_metrics_are_read_at_each_scrape() {
    let metrics = metrics(200);
    let dropped = Arc::new(AtomicU64::new(3));
    let read = Arc::clone(&dropped);
    metrics.observe(&own::TELEMETRY_DROPPED, &[(own::KIND, "span")], move || {
        read.load(Ordering::Relaxed)
    });
    metrics.observe(&own::TELEMETRY_DROPPED, &[(own::KIND, "frame")], || 1);
    metrics.observe(&own::IN_FLIGHT, &[], || 2);
    dropped.store(4, Ordering::Relaxed);
    let name = "streamgauge_telemetry_dropped_total";
    assert_eq!(
        lines(&metrics, name),
        [
            format!("{name}{{kind=\"frame\"}} 1"),
            format!("{name}{{kind=\"span\"}} 4")
        ]
    );
    assert_eq!(
        lines(&metrics, "streamgauge_exchanges_in_flight"),
        ["streamgauge_exchanges_in_flight 2"]
    );
}

/// The requests that are pushed, as they come.
type Pushed = Receiver<ExportMetricsServiceRequest>;

/// Metrics whose pushes are told of, and refused where that is asked for.
fn pushing(interval: Duration, temporality: Temporality, refuse: bool) -> (Metrics, Pushed) {
    let (tell, pushed) = channel();
    let pushing = Pushing {
        interval,
        temporality,
        buckets: Buckets::Explicit,
        export: move |request: Bytes| {
            tell.send(ExportMetricsServiceRequest::decode(&*request)?)?;
            if refuse {
                return Err("connection refused".into());
            }
            Ok(1)
        },
    };
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", "gauge"))
        .build();
    let metrics = Metrics::pushing(&MetricsConfig::default(), resource, pushing);
    (metrics, pushed)
}

const HOUR: Duration = Duration::from_secs(3600);
const LONG: Duration = Duration::from_secs(30);

/// Sum of the points of a counter in a request.
fn counted(request: &ExportMetricsServiceRequest, name: &str) -> i64 {
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let metric = metrics.iter().find(|metric| metric.name == name);
    let Some(metric::Data::Sum(sum)) = metric.and_then(|metric| metric.data.as_ref()) else {
        return 0;
    };
    let numbers = sum.data_points.iter().map(|point| match point.value {
        Some(number_data_point::Value::AsInt(number)) => number,
        _ => 0,
    });
    numbers.sum()
}

#[test]
fn a_flush_pushes_what_a_scrape_shows_and_says_who_we_are() {
    let (metrics, pushed) = pushing(HOUR, Temporality::Cumulative, false);
    finish(&metrics, sample::unary());
    assert_eq!(lines(&metrics, "llm_requests_total").len(), 1);
    metrics.flush(LONG.into());
    let pushed: Vec<_> = pushed.try_iter().collect();
    let [request] = pushed.as_slice() else {
        panic!("{} pushes", pushed.len());
    };
    assert_eq!(counted(request, "llm.requests"), 1);
    let [of_resource] = request.resource_metrics.as_slice() else {
        panic!("{request:?}");
    };
    let attributes = &of_resource.resource.as_ref().unwrap().attributes;
    assert_eq!(attributes[0].key, "service.name");
    let [of_scope] = of_resource.scope_metrics.as_slice() else {
        panic!("{request:?}");
    };
    assert_eq!(of_scope.scope.as_ref().unwrap().name, "streamgauge");
    let text = page(&metrics.render(None));
    let shown = text.lines().filter(|line| line.starts_with("# TYPE "));
    // One more is the resource.
    assert_eq!(of_scope.metrics.len() + 1, shown.count());
    // The receiver rejects one of each request.
    assert_eq!((metrics.export_failures(), metrics.lost_points()), (0, 1));
}

#[test]
fn metrics_are_pushed_at_each_interval() {
    let (metrics, pushed) = pushing(Duration::from_millis(1), Temporality::Cumulative, false);
    finish(&metrics, sample::unary());
    let pushes = std::iter::from_fn(|| pushed.recv_timeout(LONG).ok());
    let counts = pushes.map(|request| counted(&request, "llm.requests"));
    // A push may have come before the call.
    let counts = counts.skip_while(|count| *count == 0);
    assert_eq!(counts.take(2).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn nothing_is_pushed_after_the_last_flush() {
    let (metrics, pushed) = pushing(HOUR, Temporality::Cumulative, false);
    finish(&metrics, sample::unary());
    metrics.flush(LONG.into());
    metrics.flush(LONG.into());
    assert_eq!(pushed.try_iter().count(), 1);
}

#[test]
fn differences_without_a_sample_are_not_pushed() {
    let (metrics, pushed) = pushing(HOUR, Temporality::Delta, false);
    metrics.flush(LONG.into());
    assert_eq!(pushed.try_iter().count(), 0);
}

#[test]
fn failed_pushes_are_counted() {
    let (metrics, pushed) = pushing(HOUR, Temporality::Cumulative, true);
    finish(&metrics, sample::unary());
    metrics.flush(LONG.into());
    assert_eq!(pushed.try_iter().count(), 1);
    assert_eq!(metrics.export_failures(), 1);
    assert!(metrics.lost_points() > 10, "{}", metrics.lost_points());
}

#[test]
fn a_push_of_differences_tells_each_call_once_and_scrapes_stay_totals() {
    // What takes little memory is differences, of counters that are recorded.
    for temporality in [Temporality::Delta, Temporality::LowMemory] {
        let (metrics, pushed) = pushing(Duration::from_millis(1), temporality, false);
        for _ in 0..2 {
            finish(&metrics, sample::unary());
            let mut told = 0;
            while told == 0 {
                told = counted(&pushed.recv_timeout(LONG).unwrap(), "llm.requests");
            }
            assert_eq!(told, 1, "{temporality:?}");
        }
        metrics.flush(LONG.into());
        let rest = pushed.try_iter();
        let rest = rest.map(|request| counted(&request, "llm.requests"));
        assert_eq!(rest.sum::<i64>(), 0, "{temporality:?}");
        let expected = [r#"llm_requests_total{model="gpt-4o",upstream="main"} 2"#];
        assert_eq!(lines(&metrics, "llm_requests_total"), expected);
    }
}

#[test]
fn a_level_is_that_of_the_newest_response_even_where_an_older_one_ends_later() {
    let metrics = Metrics::new(&MetricsConfig::default(), Resource::builder_empty().build());
    let finish = |head: u64, remaining| {
        let mut exchange = sample::plain();
        exchange.times.response_head = Some(Duration::from_secs(head));
        exchange.rate_limits = vec![RateLimit {
            limited: Limited::Requests,
            remaining,
        }];
        metrics.finished(ExchangeId(head), &Arc::new(exchange));
        let text = page(&metrics.render(None));
        let level = "streamgauge_upstream_ratelimit_remaining{";
        let line = text.lines().find(|line| line.starts_with(level));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
    };
    assert_eq!(finish(20, 5), Some(5));
    assert_eq!(finish(10, 9), Some(5));
    assert_eq!(finish(30, 0), Some(0));
}
