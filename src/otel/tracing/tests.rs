//! Propagation and sampling, as tables.

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Both headers of W3C Trace Context.
struct W3c<'a>(Option<&'a str>, Option<&'a str>);

impl Carrier for W3c<'_> {
    fn only(&self, name: &str) -> Option<&str> {
        (name == "traceparent").then_some(self.0)?
    }

    fn joined(&self, name: &str) -> Option<String> {
        (name == "tracestate").then_some(self.1)?.map(str::to_owned)
    }
}

fn tracing(sampler: Sampler) -> Tracing {
    Tracing::new(sampler, vec![Propagator::TraceContext])
}

fn parent_based(root: Sampler) -> Sampler {
    Sampler::ParentBased(Box::new(root))
}

#[test]
fn a_valid_parent_is_continued() {
    let context =
        tracing(parent_based(Sampler::AlwaysOff)).begin(&W3c(Some(PARENT), Some("vendor=1")));
    assert_eq!(context.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(context.parent_span_id, Some(0xb7ad_6b71_6920_3331));
    assert_eq!(context.tracestate.as_deref(), Some("vendor=1"));
    assert!(context.sampled);
}

#[test]
fn a_malformed_parent_makes_a_new_root() {
    let malformed = [
        "",
        "00",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ];
    for header in malformed {
        let context =
            tracing(parent_based(Sampler::AlwaysOn)).begin(&W3c(Some(header), Some("vendor=1")));
        assert_eq!(
            (context.parent_span_id, context.tracestate),
            (None, None),
            "{header}"
        );
        assert_ne!(
            context.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            "{header}"
        );
    }
}

#[test]
fn a_later_version_may_say_more() {
    for more in ["", "-what-the-future-brings"] {
        let header = format!("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01{more}");
        let context = tracing(parent_based(Sampler::AlwaysOff)).begin(&W3c(Some(&header), None));
        assert!(context.parent_span_id.is_some() && context.sampled);
    }
}

#[test]
fn an_id_is_random_where_its_maker_says_so_and_where_it_is_ours() {
    for (parent, random) in [
        (Some("01"), false),
        (Some("02"), true),
        (Some("03"), true),
        (Some("fd"), false),
        (None, true),
    ] {
        let parent = parent.map(|flags| PARENT.replace("-01", &format!("-{flags}")));
        let context = tracing(Sampler::AlwaysOn).begin(&W3c(parent.as_deref(), None));
        assert_eq!(context.random, random, "{parent:?}");
    }
}

#[test]
fn a_malformed_tracestate_is_left_behind_and_the_parent_kept() {
    let context = tracing(Sampler::AlwaysOn).begin(&W3c(Some(PARENT), Some("no equals sign")));
    assert!(context.parent_span_id.is_some());
    assert_eq!(context.tracestate, None);
}

#[test]
fn each_sampler_decides_by_root_and_parent() {
    use Sampler::{AlwaysOff, AlwaysOn, TraceIdRatioBased};
    let cases = [
        (AlwaysOn, true, true, true),
        (AlwaysOff, false, false, false),
        (TraceIdRatioBased(1.0), true, true, true),
        (TraceIdRatioBased(0.0), false, false, false),
        (parent_based(AlwaysOn), true, true, false),
        (parent_based(AlwaysOff), false, true, false),
        (parent_based(TraceIdRatioBased(0.0)), false, true, false),
    ];
    for (sampler, root, sampled, unsampled) in cases {
        let tracing = tracing(sampler.clone());
        let decide = |parent| tracing.begin(&W3c(parent, None)).sampled;
        assert_eq!(
            (decide(None), decide(Some(PARENT)), decide(Some(UNSAMPLED))),
            (root, sampled, unsampled),
            "{sampler:?}"
        );
    }
}

#[test]
fn a_ratio_keeps_about_its_share() {
    let tracing = tracing(Sampler::TraceIdRatioBased(0.25));
    let kept = (0..10_000)
        .filter(|_| tracing.begin(&W3c(None, None)).sampled)
        .count();
    assert!((2_200..2_800).contains(&kept), "{kept}");
}

#[test]
fn without_propagation_every_exchange_is_a_root() {
    let tracing = Tracing::new(Sampler::AlwaysOn, Vec::new());
    let context = tracing.begin(&W3c(Some(PARENT), Some("vendor=1")));
    assert_eq!((context.parent_span_id, context.tracestate), (None, None));
    assert!(!tracing.propagates());
}

#[test]
fn ids_differ() {
    let tracing = tracing(Sampler::AlwaysOn);
    let (one, other) = (
        tracing.begin(&W3c(None, None)),
        tracing.begin(&W3c(None, None)),
    );
    assert_ne!(one.trace_id, other.trace_id);
    assert_ne!(one.server_span_id, one.client_span_id);
    assert_ne!(one.server_span_id, other.server_span_id);
}

/// B3 in one header.
struct B3(&'static str);

impl Carrier for B3 {
    fn only(&self, name: &str) -> Option<&str> {
        (name == "b3").then_some(self.0)
    }

    fn joined(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn a_client_that_does_not_decide_leaves_it_to_the_root_sampler_and_is_still_the_parent() {
    const IDS: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
    for root in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
        let expected = root.should_sample(None, TraceId::from(1), "", &SpanKind::Server, &[], &[]);
        let tracing = Tracing::new(parent_based(root), vec![Propagator::B3]);
        let trace = tracing.begin(&B3(IDS));
        assert_eq!(trace.parent_span_id, Some(0xb7ad_6b71_6920_3331));
        let sampled = expected.decision == SamplingDecision::RecordAndSample;
        assert_eq!(trace.sampled, sampled);
    }
}

#[test]
fn a_decision_alone_holds_for_a_new_trace() {
    let tracing = Tracing::new(parent_based(Sampler::AlwaysOn), vec![Propagator::B3]);
    let trace = tracing.begin(&B3("0"));
    assert_eq!((trace.parent_span_id, trace.sampled), (None, false));
    assert!(trace.trace_id != 0 && trace.random);
}

#[test]
fn a_trace_joins_another_with_the_spans_that_it_has() {
    let tracing = tracing(parent_based(Sampler::AlwaysOn));
    let begun = tracing.begin(&W3c(None, None));
    let mut joined = begun.clone();
    assert!(!tracing.join(&mut joined, &W3c(Some("malformed"), None)));
    assert_eq!(joined, begun);
    assert!(tracing.join(&mut joined, &W3c(Some(UNSAMPLED), Some("vendor=1"))));
    let expected = Trace {
        trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
        parent_span_id: Some(0xb7ad_6b71_6920_3331),
        sampled: false,
        parent_sampled: Some(false),
        random: false,
        tracestate: Some("vendor=1".to_owned()),
        ..begun
    };
    assert_eq!(joined, expected);
}
