//! The reference, `docs/telemetry.md`, against the code: every name is there, and nothing else is. The other pages for users that
//! name things are compared in modules of their own.

mod everything;
mod operations;
mod privacy;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_sdk::Resource;
use streamgauge::dialect::headers;
use streamgauge::exchange::{
    Again, Changed, End, Exchange, Failure, Flow, Novelty, Operation, Response, Usage,
};
use streamgauge::http1::HeadError;
use streamgauge::otel::{Buckets, Settings};
use streamgauge::proxy::error::{ProxyError, Unrouted};
use streamgauge::semconv::{self, Attributes, Begins, Kind, Metric, Value, Vocabulary, own};
use streamgauge::serve::Reason;
use streamgauge::sink::metrics::{Metrics, MetricsConfig};
use streamgauge::sink::{ExchangeId, Sink as _};
use streamgauge::upstream::UpstreamError;

use everything::{abandoned, called, drift, estimated, everything, failed, unpriced};

/// A page for users.
#[derive(Clone, Copy)]
struct Page {
    name: &'static str,
    text: &'static str,
}

const TELEMETRY: Page = Page {
    name: "docs/telemetry.md",
    text: include_str!("../../docs/telemetry.md"),
};

/// The rows of the reference's tables under a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    rows_of(TELEMETRY, heading)
}

/// The rows of the tables under a heading, up to the next heading; each as its cells, without their backticks.
fn rows_of(page: Page, heading: &str) -> Vec<Vec<String>> {
    let mut lines = page.text.lines().skip_while(|line| *line != heading);
    assert!(
        lines.next().is_some(),
        "{} has no heading {heading:?}",
        page.name
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

/// The names in the first cells of the reference's rows under a heading.
fn names(heading: &str) -> BTreeSet<String> {
    names_of(TELEMETRY, heading)
}

/// The names in the first cells of the rows under a heading, of which a cell may have several.
fn names_of(page: Page, heading: &str) -> BTreeSet<String> {
    let split = |row: Vec<String>| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>();
    rows_of(page, heading).into_iter().flat_map(split).collect()
}

/// Fails with what the reference lacks, and with what it has too much.
fn compare<T: Ord + Debug>(documented: &BTreeSet<T>, known: &BTreeSet<T>) {
    compare_with(TELEMETRY, documented, known);
}

/// Fails with what a page lacks, and with what it has too much.
fn compare_with<T: Ord + Debug>(page: Page, documented: &BTreeSet<T>, known: &BTreeSet<T>) {
    let lacks: Vec<_> = known.difference(documented).collect();
    let only: Vec<_> = documented.difference(known).collect();
    assert!(
        lacks.is_empty() && only.is_empty(),
        "{} lacks {lacks:#?} and has {only:#?}, which the code has not",
        page.name
    );
}

fn vocabularies() -> Vec<&'static dyn Vocabulary> {
    semconv::names()
        .filter_map(semconv::named)
        .chain(semconv::ALWAYS)
        .collect()
}

/// The keys of the attributes that are put on a span.
fn keys(put: impl FnOnce(&mut Attributes<'_>)) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    // Of keys with numbers in them one stands for all.
    let mut write = |key: &str, _: &Value<'_>| {
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = key
            .split('.')
            .map(|part| if is_number(part) { "N" } else { part });
        keys.insert(parts.collect::<Vec<_>>().join("."));
    };
    put(&mut Attributes::new(&mut Vec::new(), &mut write));
    keys
}

#[test]
fn every_span_attribute_is_in_the_reference() {
    // Kinds of spans that have attributes of their own.
    let others = [
        Operation::Embeddings,
        Operation::Rerank,
        Operation::FetchResponse,
    ]
    .map(called);
    let exchanges = [everything(), failed(), estimated(), unpriced(), abandoned()].into_iter();
    let exchanges: Vec<_> = exchanges.chain(others).collect();
    let (mut server, mut inference) = (BTreeSet::new(), BTreeSet::new());
    for exchange in &exchanges {
        for vocabulary in vocabularies() {
            server.extend(keys(|span| vocabulary.server(exchange, span)));
            // Attributes that vocabularies share are put once per span.
            inference.extend(keys(|span| vocabulary.inference(exchange, span)));
        }
    }
    compare(&names("### SERVER span"), &server);
    compare(&names("### Inference span"), &inference);
    let mut attempts = BTreeSet::new();
    for exchange in &exchanges {
        for at in 0..exchange.attempts.len() {
            attempts.extend(keys(|span| {
                semconv::http::attempt(exchange, at, span);
                semconv::own::attempt(exchange, at, span);
            }));
        }
    }
    compare(&names("### Attempt span"), &attempts);
    let (place, said) = (
        everything().conversation.unwrap(),
        everything().content.unwrap(),
    );
    let of_tool = keys(|span| {
        semconv::tool_wait::attributes(&place.waits[0], true, span);
        semconv::tool_wait::content(&place.waits[0], &said, span);
    });
    compare(&names("### Tool wait span"), &of_tool);
    let (mut events, mut details) = (BTreeSet::new(), BTreeSet::new());
    for changed in [Changed::Parameters("model"), Changed::Message(1)] {
        let mut exchange = everything();
        let place = exchange.conversation.as_mut().unwrap();
        place.reuse.as_mut().unwrap().changed = Some(changed);
        for again in [place.again, Some(Again::Repeat)] {
            exchange.conversation.as_mut().unwrap().again = again;
            semconv::own::conversation::events(&exchange, &mut |name, with| {
                events.insert(name.to_owned());
                details.extend(with.iter().map(|(key, _)| (*key).to_owned()));
            });
        }
    }
    for new in [Novelty::Model, Novelty::Fingerprint] {
        let exchange = Exchange {
            drift: Some(Box::new(drift(new))),
            ..everything()
        };
        semconv::own::drift::event(&exchange, &mut |name, with| {
            events.insert(name.to_owned());
            details.extend(with.iter().map(|(key, _)| (*key).to_owned()));
        });
    }
    let headings = ["### Events of conversations", "### Model drift"];
    let documented = headings.map(rows).concat();
    let named = |cell: usize| {
        let cells = documented.iter().flat_map(move |row| row[cell].split(", "));
        let cells = cells.filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    compare(&named(0), &events);
    compare(&named(1), &details);
}

/// The place of a heading, as links name it.
fn anchor(heading: &str) -> String {
    let is_kept = |at: &char| at.is_alphanumeric() || matches!(at, ' ' | '-' | '_');
    let kept: String = heading.to_lowercase().chars().filter(is_kept).collect();
    kept.replace(' ', "-")
}

#[test]
fn the_contents_lead_to_every_part_of_the_reference() {
    let (contents, parts) = TELEMETRY.text.split_once("\n\n## ").unwrap();
    let headings = parts.split("\n#").enumerate();
    let headings = headings.map(|(at, part)| match at {
        0 => part,
        _ => part.trim_start_matches('#').trim_start(),
    });
    let headings = headings.filter_map(|part| part.lines().next()).map(anchor);
    // Those are found by the setting that chooses them.
    let vocabularies: BTreeSet<_> = vocabularies()
        .iter()
        .map(|vocabulary| anchor(vocabulary.name()))
        .collect();
    let headings = headings.filter(|heading| !vocabularies.contains(heading));
    let links = contents.split("](#").skip(1);
    let links = links.filter_map(|link| link.split(')').next());
    compare(&links.map(str::to_owned).collect(), &headings.collect());
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
        Kind::Counter | Kind::Cost | Kind::ObservedCounter | Kind::ObservedSeconds => {
            "counter".to_owned()
        }
        Kind::Gauge | Kind::WindowMean | Kind::ObservedGauge => "gauge".to_owned(),
        Kind::Histogram(bounds) => {
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

/// A scrape of everything that a vocabulary has.
fn page_of(vocabulary: &str) -> String {
    let config = MetricsConfig {
        vocabularies: semconv::all_named([vocabulary]),
        ..MetricsConfig::default()
    };
    let metrics = Metrics::new(&config, Resource::builder_empty().build());
    let others = [Operation::Embeddings, Operation::Rerank].map(called);
    let exchanges = [everything(), failed(), estimated(), unpriced(), abandoned()].into_iter();
    for exchange in exchanges.chain(others) {
        metrics.finished(ExchangeId(1), &Arc::new(exchange));
    }
    let observed = vocabularies().into_iter().flat_map(Vocabulary::metrics);
    for metric in observed {
        if metric.kind.is_observed() {
            metrics.observe(metric, &[], || 1);
        }
    }
    page(&metrics)
}

/// The page in the classic format.
fn page(metrics: &Metrics) -> String {
    String::from_utf8(metrics.render(None).pieces.concat()).unwrap()
}

#[test]
fn every_metric_is_spelled_for_prometheus_as_the_reference_says() {
    // Where several are chosen, they leave out what they have in common.
    let choices = semconv::names_with_metrics().map(page_of);
    let text: String = choices.collect();
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

/// Metrics of the same call of so many models, each once well and then with so many errors.
fn metrics_of(vocabularies: &[&str], models: usize, errors: usize) -> Metrics {
    let config = MetricsConfig {
        vocabularies: semconv::all_named(vocabularies),
        buckets: Buckets::Exponential,
        ..MetricsConfig::default()
    };
    let metrics = Metrics::new(&config, Resource::builder_empty().build());
    for (model, error) in
        (0..models).flat_map(|model| (0..=errors).map(move |error| (model, error)))
    {
        let mut exchange = Exchange {
            attempts: vec![everything().attempts.remove(1)],
            usage: Usage {
                input_tokens: Some(100),
                output_tokens: Some(100),
                ..Usage::default()
            },
            ..everything()
        };
        exchange.request.model = Some(format!("m-{model}"));
        exchange.response.model = Some(format!("m-{model}-1"));
        exchange.response.tool_calls.clear();
        exchange.conversation = None;
        exchange.drift.as_mut().unwrap().before = None;
        if error > 0 {
            exchange.end = End::HttpError;
            exchange.http.status = Some(400);
            exchange.response = Response::default();
            exchange.usage = Usage::default();
            exchange.flow = Flow::default();
            exchange.times.first_token = None;
            exchange.failure = Some(Failure {
                kind: format!("error_{error}"),
                message: String::new(),
            });
        }
        metrics.finished(ExchangeId(1), &Arc::new(exchange));
    }
    metrics
}

/// Lines of their page that are series; and how many are left of them where a histogram is one.
fn series(vocabularies: &[&str], models: usize, errors: usize) -> [usize; 2] {
    let text = page(&metrics_of(vocabularies, models, errors));
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let native = series.clone().filter(|line| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        !name.ends_with("_bucket") && !name.ends_with("_sum")
    });
    [series.count(), native.count()]
}

/// A scrape that a team can afford.
#[test]
fn a_model_and_an_error_cost_the_series_that_the_reference_says() {
    let known: BTreeSet<[String; 5]> = [
        &semconv::DEFAULT_METRICS[..],
        &["llm"],
        &["gen_ai_2025"],
        &["gen_ai_2024"],
        &["gen_ai"],
    ]
    .into_iter()
    .map(|chosen| {
        let [one, two] = [1, 2].map(|models| series(chosen, models, 0));
        let [two_failing, three_failing] = [2, 3].map(|models| series(chosen, models, 2));
        let [all, native] = [0, 1].map(|at| {
            let of_model = two[at] - one[at];
            // The metrics of HTTP, too, tell errors apart, and not models.
            let of_errors = three_failing[at] - two_failing[at] - of_model;
            [of_model, of_errors / 2].map(|series| series.to_string())
        });
        let [[model, error], [native_model, native_error]] = [all, native];
        [chosen.join(", "), model, error, native_model, native_error]
    })
    .collect();
    compare(
        &rows("### Series")
            .into_iter()
            .map(|row| row.try_into().unwrap())
            .collect(),
        &known,
    );
    let default = known
        .iter()
        .find(|row| row[0] == semconv::DEFAULT_METRICS.join(", "));
    let [_, of_model, of_error, ..] = default.unwrap();
    assert!(of_model.parse::<usize>().unwrap() <= 120, "{known:#?}");
    assert!(of_error.parse::<usize>().unwrap() <= 20, "{known:#?}");
}

#[test]
fn a_model_costs_a_scrape_no_more_bytes_than_the_reference_says() {
    const KB: usize = 1_000;
    let gzipped = |page: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(page).unwrap();
        encoder.finish().unwrap().len()
    };
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let documented: Vec<[String; 3]> = rows("### Bytes")
        .into_iter()
        .map(|row| row.try_into().unwrap())
        .collect();
    for ([name, plain, compressed], accept) in documented.iter().zip([None, Some(protobuf)]) {
        // As many as a team may have, so that what compresses is seen to.
        let [few, many] = [10, 20].map(|models| {
            let metrics = metrics_of(&semconv::DEFAULT_METRICS, models, 0);
            let page = metrics.render(accept).pieces.concat();
            [page.len(), gzipped(&page)]
        });
        for (at, documented) in [plain, compressed].into_iter().enumerate() {
            let of_model = (many[at] - few[at]) as f64 / (10 * KB) as f64;
            let documented: f64 = documented.trim_end_matches(" KB").parse().unwrap();
            // How much is left after compression depends on how alike the numbers are.
            let least = [documented / 2.0, 0.0][at];
            assert!(
                of_model <= documented && of_model > least,
                "{name}: {of_model}, not {documented}"
            );
        }
    }
}

#[test]
fn every_counter_that_begins_at_zero_is_in_the_reference() {
    let documented = rows("### Counters that begin at zero");
    let documented = documented.into_iter().map(|row| row.try_into().unwrap());
    let rows = vocabularies()
        .into_iter()
        .flat_map(Vocabulary::begin_at_zero);
    let known = rows.map(|row| {
        let begins = match row.begins {
            Begins::WithProcess => "the process",
            Begins::WithUpstream => "the process, for each upstream",
            Begins::WithModel => "the first call of a model",
        };
        let labels: Vec<_> = row.labels.iter().map(|label| label.key).collect();
        let series = row.sets(&[]).len().to_string();
        [
            row.metric.name.to_owned(),
            begins.to_owned(),
            labels.join(", "),
            series,
        ]
    });
    compare::<[String; 4]>(&BTreeSet::from_iter(documented), &known.collect());
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
        End::HttpError,
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

    let (upstream, address, cause) = (String::new, String::new, String::new);
    let of_upstream = [
        UpstreamError::ConnectionRefused {
            upstream: upstream(),
            address: address(),
            cause: cause(),
        },
        UpstreamError::ConnectFailed {
            upstream: upstream(),
            address: address(),
            cause: cause(),
            trouble: None,
        },
        UpstreamError::CertificateRefused {
            upstream: upstream(),
            address: address(),
            trouble: streamgauge::tls::Trouble::Expired,
            cause: cause(),
        },
        UpstreamError::ConnectTimeout {
            upstream: upstream(),
            address: address(),
            limit: Duration::ZERO,
        },
        UpstreamError::SendTimeout {
            upstream: upstream(),
            limit: Duration::ZERO,
        },
        UpstreamError::FirstByteTimeout {
            upstream: upstream(),
            limit: Duration::ZERO,
        },
        UpstreamError::Broken {
            upstream: upstream(),
            address: address(),
            cause: cause(),
        },
        UpstreamError::LimitReached {
            upstream: upstream(),
        },
    ];
    let ours = [
        ProxyError::NoRoute {
            why: Unrouted::Empty.into(),
            decides: "".into(),
        },
        ProxyError::RequestBody { cause: cause() },
        ProxyError::BodyTimeout {
            limit: Duration::ZERO,
        },
        ProxyError::Connect,
        ProxyError::CrossSite,
        ProxyError::Host,
        ProxyError::NoRoom,
    ];
    let heads = [
        HeadError::Malformed(""),
        HeadError::TargetTooLong,
        HeadError::TooLarge,
        HeadError::Timeout,
    ];
    let errors = of_upstream.map(ProxyError::from).into_iter().chain(ours);
    let errors = errors.chain(heads.map(ProxyError::Head));
    let mut known: BTreeSet<[String; 2]> = errors
        .map(|error| [error.kind().into(), error.status().as_u16().to_string()])
        .collect();
    let mut counted: BTreeSet<&str> = own::KINDS.into_iter().chain(own::REJECTIONS).collect();
    for [kind, _] in &known {
        assert!(
            counted.remove(kind.as_str()),
            "{kind} is not counted from zero"
        );
    }
    let others = ["429", "4xx", "5xx", "error_event", "stream_truncated"];
    assert_eq!(counted, others.into());
    // Those that come when the head has been sent, or nobody can be answered any more.
    for kind in ["stream_truncated", "shutdown"] {
        known.insert([kind.into(), String::new()]);
    }
    let documented = rows("## `error.type`");
    let errors = documented.iter().filter(|row| row.len() == 4);
    let errors = errors.map(|row| [row[0].clone(), row[2].clone()]).collect();
    compare(&errors, &known);

    let reasons = documented.iter().filter(|row| row.len() == 2);
    let reasons = reasons.map(|row| row[0].clone()).collect();
    let known = Reason::ALL.map(|reason| reason.as_str().to_owned());
    compare(&reasons, &known.into());
}
