//! The reference, `docs/telemetry.md`, against the code: every name is there, and nothing else is.

mod everything;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry_sdk::Resource;
use streamgauge::dialect::headers;
use streamgauge::exchange::{Call, End};
use streamgauge::otel::Settings;
use streamgauge::proxy::error::ProxyError;
use streamgauge::semconv::{self, Attributes, Kind, Metric, Vocabulary};
use streamgauge::sink::metrics::Metrics;
use streamgauge::sink::{ExchangeId, Sink as _};

use everything::{called, everything, failed};

/// The rows of the tables under a heading, up to the next heading; each as its cells, without their backticks.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = include_str!("../../docs/telemetry.md");
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert!(
        lines.next().is_some(),
        "docs/telemetry.md has no heading {heading:?}"
    );
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with('#')).collect();
    let is_head = |at: usize| lines.get(at + 1).is_some_and(|line| line.starts_with("|-"));
    let body = (0..lines.len()).filter(|at| lines[*at].starts_with("| ") && !is_head(*at));
    body.map(|at| {
        let cells = lines[at].trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    })
    .collect()
}

/// The names in the first cells of the rows under a heading, of which a cell may have several.
fn names(heading: &str) -> BTreeSet<String> {
    let split = |row: Vec<String>| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>();
    rows(heading).into_iter().flat_map(split).collect()
}

/// Fails with what the reference lacks, and with what it has too much.
fn compare<T: Ord + Debug>(documented: &BTreeSet<T>, known: &BTreeSet<T>) {
    let lacks: Vec<_> = known.difference(documented).collect();
    let only: Vec<_> = documented.difference(known).collect();
    assert!(
        lacks.is_empty() && only.is_empty(),
        "docs/telemetry.md lacks {lacks:#?} and has {only:#?}, which the code has not"
    );
}

fn vocabularies() -> Vec<&'static dyn Vocabulary> {
    semconv::names()
        .filter_map(semconv::named)
        .chain(semconv::ALWAYS)
        .collect()
}

#[test]
fn every_span_attribute_is_in_the_reference() {
    // Kinds of spans that have attributes of their own.
    let others = [Call::Embeddings, Call::Rerank, Call::FetchResponse].map(called);
    let exchanges: Vec<_> = [everything(), failed()].into_iter().chain(others).collect();
    let (mut server, mut inference) = (Attributes::default(), Attributes::default());
    for exchange in &exchanges {
        for vocabulary in vocabularies() {
            vocabulary.server(exchange, &mut server);
            // Attributes that vocabularies share are put once per span.
            let mut span = Attributes::default();
            vocabulary.inference(exchange, &mut span);
            span.into_iter()
                .for_each(|(key, value)| inference.put(key, value));
        }
    }
    let keys = |span: &Attributes<'_>| -> BTreeSet<String> {
        span.iter().map(|(key, _)| (*key).to_owned()).collect()
    };
    compare(&names("### SERVER span"), &keys(&server));
    compare(&names("### Inference span"), &keys(&inference));
}

#[test]
fn every_header_that_is_kept_is_an_attribute() {
    let documented = names("### SERVER span");
    for name in headers::KEPT {
        let key = format!("http.response.header.{name}");
        assert!(documented.contains(&key), "{key}");
    }
}

#[test]
fn every_metric_is_in_the_reference_with_its_kind_buckets_and_unit() {
    let buckets: BTreeMap<String, Vec<f64>> = rows("## Metrics")
        .into_iter()
        .map(|row| {
            let bounds = row[1]
                .split([',', ' '])
                .filter_map(|word| word.parse().ok());
            (row[0].clone(), bounds.collect())
        })
        .collect();
    let kind = |metric: &Metric| match metric.kind {
        Kind::Counter | Kind::ObservedCounter => "counter".to_owned(),
        Kind::Gauge | Kind::WindowMean | Kind::ObservedGauge => "gauge".to_owned(),
        Kind::Histogram(bounds) | Kind::IntHistogram(bounds) => {
            let named = buckets.iter().find(|(_, known)| *known == bounds);
            let (name, _) = named.unwrap_or_else(|| panic!("{} has other buckets", metric.name));
            format!("histogram {name}")
        }
    };
    for vocabulary in vocabularies() {
        let heading = format!("### `{}`", vocabulary.name());
        let documented: BTreeSet<[String; 3]> = rows(&heading)
            .into_iter()
            .map(|row| [row[0].clone(), row[2].clone(), row[3].clone()])
            .collect();
        let metrics = vocabulary.metrics().iter();
        let known: BTreeSet<[String; 3]> = metrics
            .map(|metric| [metric.name.into(), kind(metric), metric.unit.into()])
            .collect();
        compare(&documented, &known);
    }
}

#[test]
fn every_metric_is_spelled_for_prometheus_as_the_reference_says() {
    let metrics = Metrics::new(&Default::default(), Resource::builder_empty().build());
    for exchange in [everything(), failed()] {
        metrics.finished(ExchangeId(1), &Arc::new(exchange));
    }
    let observed = vocabularies().into_iter().flat_map(Vocabulary::metrics);
    for metric in observed {
        if matches!(metric.kind, Kind::ObservedCounter | Kind::ObservedGauge) {
            metrics.observe(metric, &[], || 1);
        }
    }
    let text = metrics.render(None).pieces.concat();
    let written: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(str::to_owned)
        .collect();
    let documented: BTreeSet<String> = vocabularies()
        .into_iter()
        .flat_map(|vocabulary| rows(&format!("### `{}`", vocabulary.name())))
        .map(|row| {
            let kind = row[2].split(' ').next().unwrap_or_default();
            format!("{} {kind}", row[1])
        })
        .collect();
    compare(&documented, &written);
}

#[test]
fn every_variable_that_is_read_is_in_the_reference() {
    let read = RefCell::new(BTreeSet::new());
    let settings = Settings::from_env(|name| {
        read.borrow_mut().insert(name.to_owned());
        None
    });
    assert!(settings.is_ok());
    compare(&names("## Where it goes"), &read.into_inner());
}

#[test]
fn every_end_and_every_error_of_ours_is_in_the_reference() {
    let ends = [
        End::Done,
        End::FinishWithoutDone,
        End::DoneWithoutFinish,
        End::ErrorEvent,
        End::Cut,
        End::ClientLeft,
        End::Timeout,
        End::Refused,
        End::Rejected,
    ];
    let ends = ends.map(|end| end.as_str().to_owned()).into();
    compare(&names("## How an exchange ends"), &ends);

    let (upstream, cause) = (String::new, String::new);
    let errors = [
        ProxyError::ConnectionRefused {
            upstream: upstream(),
            cause: cause(),
        },
        ProxyError::ConnectFailed {
            upstream: upstream(),
            cause: cause(),
        },
        ProxyError::ConnectTimeout {
            upstream: upstream(),
        },
        ProxyError::FirstByteTimeout {
            upstream: upstream(),
        },
        ProxyError::Broken {
            upstream: upstream(),
            cause: cause(),
        },
        ProxyError::NoRoute,
        ProxyError::RequestBody { cause: cause() },
        ProxyError::LimitReached {
            upstream: upstream(),
        },
        ProxyError::Connect,
    ];
    let mut known: BTreeSet<[String; 2]> = errors
        .iter()
        .map(|error| [error.kind().into(), error.status().as_u16().to_string()])
        .collect();
    // The one that comes only after the head has been sent.
    known.insert(["stream_truncated".into(), String::new()]);
    let documented = rows("## `error.type`").into_iter();
    let documented = documented
        .map(|row| [row[0].clone(), row[2].clone()])
        .collect();
    compare(&documented, &known);
}
