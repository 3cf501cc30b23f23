//! From a finished exchange to the text of a scrape.

use std::sync::Mutex;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

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
        &metrics.meter,
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

/// An exporter that keeps the names of what it is given, and can refuse it.
#[derive(Clone)]
struct Fake {
    names: Arc<Mutex<Vec<String>>>,
    refuse: bool,
    temporality: Temporality,
}

impl PushMetricExporter for Fake {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        let mut names = self.names.lock().unwrap();
        names.extend(metrics.map(|metric| metric.name().to_owned()));
        if self.refuse {
            Err(OTelSdkError::InternalFailure("connection refused".into()))
        } else {
            Ok(())
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

fn pushing(refuse: bool, temporality: Temporality) -> (Metrics, Fake) {
    let fake = Fake {
        names: Arc::default(),
        refuse,
        temporality,
    };
    let resource = Resource::builder_empty().build();
    let hour = Duration::from_secs(3600);
    (
        Metrics::pushing(&Config::default(), resource, fake.clone(), hour),
        fake,
    )
}

#[test]
fn a_flush_pushes_what_a_scrape_shows() {
    let (metrics, fake) = pushing(false, Temporality::Cumulative);
    finish(&metrics, sample::unary());
    assert_eq!(lines(&metrics, "llm_requests_total").len(), 1);
    metrics.flush(Duration::from_secs(30));
    assert!(
        fake.names
            .lock()
            .unwrap()
            .contains(&"llm.requests".to_owned())
    );
    assert_eq!(metrics.export_failures(), 0);
}

#[test]
fn failed_pushes_are_counted() {
    let (metrics, fake) = pushing(true, Temporality::Cumulative);
    finish(&metrics, sample::unary());
    assert!(metrics.provider.force_flush().is_err());
    assert!(!fake.names.lock().unwrap().is_empty());
    assert_eq!(metrics.export_failures(), 1);
}

#[test]
fn scrapes_stay_cumulative_when_the_push_wants_deltas() {
    let (metrics, _) = pushing(false, Temporality::Delta);
    finish(&metrics, sample::unary());
    metrics.provider.force_flush().unwrap();
    finish(&metrics, sample::unary());
    let expected = [r#"llm_requests_total{model="gpt-4o",upstream="main"} 2"#];
    assert_eq!(lines(&metrics, "llm_requests_total"), expected);
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
