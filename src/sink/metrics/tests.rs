//! From a finished exchange to the text of a scrape.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message as _;

use super::*;
use crate::exchange::{Limited, RateLimit};
use crate::semconv::{own, sample};

const OPEN_METRICS: Option<&str> = Some("application/openmetrics-text");

fn metrics(label_values: usize) -> Metrics {
    Metrics::new(
        &Config {
            label_values,
            ..Config::default()
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

/// The samples of one metric, in the classic format.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.render(None).pieces.concat();
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
        let config = Config {
            vocabularies: vocabularies.collect(),
            ..Config::default()
        };
        let metrics = Metrics::new(&config, Resource::builder_empty().build());
        finish(&metrics, sample::embeddings());
        let text = metrics.render(None).pieces.concat();
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
    let metrics = metrics(200);
    finish(&metrics, sample::streamed());
    let name = "gen_ai_client_inference_time_per_output_chunk_seconds";
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
    let text = metrics.render(None).pieces.concat();
    assert!(
        !text.contains("cache_read") && !text.contains("llm_errors"),
        "{text}"
    );
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

#[test]
fn forgetting_the_way_to_a_series_loses_no_count() {
    let metrics = metrics(2_000);
    let small = Table::new(
        &metrics.aggregates,
        semconv::named("llm").unwrap().metrics().iter(),
        &Arc::new(Windows::new(Duration::from_secs(300), Instant::now())),
        100,
        2,
    );
    let metric = semconv::named("llm")
        .unwrap()
        .metrics()
        .iter()
        .find(|metric| metric.name == "llm.requests")
        .unwrap();
    for round in 0..3 {
        for model in ["a", "b", "c"] {
            let series = small.series(&[("model", model.into())]);
            series.record(
                &small,
                &[Some(metric.sample(1_u64))],
                SystemTime::UNIX_EPOCH,
                None,
            );
            assert_eq!(series.labels[0].value.as_str(), model, "round {round}");
        }
    }
    let counts: Vec<_> = lines(&metrics, "llm_requests_total");
    assert_eq!(counts.len(), 3);
    assert!(counts.iter().all(|line| line.ends_with(" 3")), "{counts:?}");
}

/// Counters and counts of histograms, each with its labels.
fn counts(metrics: &Metrics) -> Vec<(String, u64)> {
    let text = metrics.render(None).pieces.concat();
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
    let mut partial = sample::unary();
    partial.problems.missed_frames = 1;
    finish(&metrics, partial);
    let counts = counts(&metrics);
    let of = |name: &str| -> Vec<u64> {
        let of_metric = counts.iter().filter(|(series, _)| series.starts_with(name));
        of_metric.map(|(_, count)| *count).collect()
    };
    assert_eq!(of("http_server_request_duration_seconds_count"), [2, 1]);
    assert_eq!(of("streamgauge_exchanges_total"), [2, 1]);
    assert_eq!(of("llm_requests_total"), [3]);
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
    let text = scrape.pieces.concat();
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
    let text = metrics.render(OPEN_METRICS).pieces.concat();
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
        export: move |request: Vec<u8>| {
            tell.send(ExportMetricsServiceRequest::decode(&*request)?)?;
            if refuse {
                return Err("connection refused".into());
            }
            Ok(())
        },
    };
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", "gauge"))
        .build();
    let metrics = Metrics::pushing(&Config::default(), resource, pushing);
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
    metrics.flush(LONG);
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
    let text = metrics.render(None).pieces.concat();
    let shown = text.lines().filter(|line| line.starts_with("# TYPE "));
    // One more is the resource.
    assert_eq!(of_scope.metrics.len() + 1, shown.count());
    assert_eq!(metrics.export_failures(), 0);
}

#[test]
fn metrics_are_pushed_at_each_interval() {
    let (metrics, pushed) = pushing(Duration::from_millis(1), Temporality::Cumulative, false);
    finish(&metrics, sample::unary());
    for _ in 0..2 {
        let request = pushed.recv_timeout(LONG).unwrap();
        assert_eq!(counted(&request, "llm.requests"), 1);
    }
}

#[test]
fn nothing_is_pushed_after_the_last_flush() {
    let (metrics, pushed) = pushing(HOUR, Temporality::Cumulative, false);
    finish(&metrics, sample::unary());
    metrics.flush(LONG);
    metrics.flush(LONG);
    assert_eq!(pushed.try_iter().count(), 1);
}

#[test]
fn metrics_without_a_sample_are_not_pushed() {
    let (metrics, pushed) = pushing(HOUR, Temporality::Cumulative, false);
    metrics.flush(LONG);
    assert_eq!(pushed.try_iter().count(), 0);
}

#[test]
fn failed_pushes_are_counted() {
    let (metrics, pushed) = pushing(HOUR, Temporality::Cumulative, true);
    finish(&metrics, sample::unary());
    metrics.flush(LONG);
    assert_eq!(pushed.try_iter().count(), 1);
    assert_eq!(metrics.export_failures(), 1);
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
        metrics.flush(LONG);
        let rest = pushed.try_iter();
        let rest = rest.map(|request| counted(&request, "llm.requests"));
        assert_eq!(rest.sum::<i64>(), 0, "{temporality:?}");
        let expected = [r#"llm_requests_total{model="gpt-4o",upstream="main"} 2"#];
        assert_eq!(lines(&metrics, "llm_requests_total"), expected);
    }
}

#[test]
fn a_level_is_that_of_the_newest_response_even_where_an_older_one_ends_later() {
    let metrics = Metrics::new(&Config::default(), Resource::builder_empty().build());
    let finish = |head: u64, remaining| {
        let mut exchange = sample::plain();
        exchange.times.response_head = Some(Duration::from_secs(head));
        exchange.rate_limits = vec![RateLimit {
            limited: Limited::Requests,
            remaining,
        }];
        metrics.finished(ExchangeId(head), &Arc::new(exchange));
        let text = metrics.render(None).pieces.concat();
        let level = "streamgauge_upstream_ratelimit_remaining{";
        let line = text.lines().find(|line| line.starts_with(level));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
    };
    assert_eq!(finish(20, 5), Some(5));
    assert_eq!(finish(10, 9), Some(5));
    assert_eq!(finish(30, 0), Some(0));
}
