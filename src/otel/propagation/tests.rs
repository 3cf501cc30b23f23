//! Each format, read and written.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;
const ALL: [Propagator; 5] = [
    Propagator::TraceContext,
    Propagator::B3,
    Propagator::B3Multi,
    Propagator::Jaeger,
    Propagator::XRay,
];

/// Headers by name.
struct Headers<'a>(&'a [(&'a str, &'a str)]);

impl Carrier for Headers<'_> {
    fn only(&self, name: &str) -> Option<&str> {
        let mut found = self
            .0
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let first = found.next()?;
        found.next().is_none().then_some(first.1)
    }

    fn joined(&self, name: &str) -> Option<String> {
        let found = self
            .0
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let values: Vec<&str> = found.map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

/// Ids and decision.
type Short = (Option<(u128, u64)>, Option<bool>);

fn read(propagator: Propagator, headers: &[(&str, &str)]) -> Option<Short> {
    let remote = propagator.extract(&Headers(headers))?;
    Some((remote.ids, remote.sampled))
}

const IDS: Option<(u128, u64)> = Some((TRACE, SPAN));
const LOW: Option<(u128, u64)> = Some((0x8448_eb21_1c80_319c, SPAN));

#[test]
fn b3_is_read_from_one_header() {
    let long = "0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7";
    for (header, expected) in [
        (format!("{long}-1"), Some((IDS, Some(true)))),
        (format!("{long}-0"), Some((IDS, Some(false)))),
        (format!("{long}-d"), Some((IDS, Some(true)))),
        (long.to_owned(), Some((IDS, None))),
        (
            format!("{long}-1-b7ad6b7169203331"),
            Some((IDS, Some(true))),
        ),
        (
            "8448eb211c80319c-00f067aa0ba902b7-1".into(),
            Some((LOW, Some(true))),
        ),
        ("0".into(), Some((None, Some(false)))),
        ("d".into(), Some((None, Some(true)))),
        (format!("{long}-x"), None),
        (format!("{long}-"), None),
        ("8448eb211c80319-00f067aa0ba902b7-1".into(), None),
        ("0000000000000000-00f067aa0ba902b7-1".into(), None),
        ("+448eb211c80319c-00f067aa0ba902b7-1".into(), None),
        (String::new(), None),
    ] {
        assert_eq!(
            read(Propagator::B3, &[("b3", &header)]),
            expected,
            "{header}"
        );
    }
}

#[test]
fn b3_is_read_from_several_headers() {
    let ids = [
        ("X-B3-TraceId", "0af7651916cd43dd8448eb211c80319c"),
        ("X-B3-SpanId", "00f067aa0ba902b7"),
    ];
    let with = |more: &[(&'static str, &'static str)]| {
        read(Propagator::B3Multi, &[&ids[..], more].concat())
    };
    assert_eq!(with(&[]), Some((IDS, None)));
    assert_eq!(with(&[("X-B3-Sampled", "1")]), Some((IDS, Some(true))));
    assert_eq!(with(&[("X-B3-Sampled", "false")]), Some((IDS, Some(false))));
    assert_eq!(with(&[("X-B3-Flags", "1")]), Some((IDS, Some(true))));
    assert_eq!(with(&[("X-B3-Sampled", "perhaps")]), None);
    // An id that is there twice says nothing.
    assert_eq!(with(&[("x-b3-spanid", "00f067aa0ba902b8")]), None);
    let alone = [("x-b3-sampled", "0")];
    assert_eq!(read(Propagator::B3Multi, &alone), Some((None, Some(false))));
    assert_eq!(read(Propagator::B3Multi, &ids[..1]), None);
    // The single one goes before them.
    let single = [("b3", "8448eb211c80319c-00f067aa0ba902b7-0")];
    assert_eq!(with(&single), Some((LOW, Some(false))));
}

#[test]
fn jaegers_is_read_with_and_without_zeros_before_its_ids() {
    for (header, expected) in [
        (
            "0af7651916cd43dd8448eb211c80319c:00f067aa0ba902b7:0:1",
            Some((IDS, Some(true))),
        ),
        (
            "af7651916cd43dd8448eb211c80319c:f067aa0ba902b7:0:0",
            Some((IDS, Some(false))),
        ),
        (
            "af7651916cd43dd8448eb211c80319c%3Af067aa0ba902b7%3A0%3A3",
            Some((IDS, Some(true))),
        ),
        (
            "8448eb211c80319c:f067aa0ba902b7:b7ad6b7169203331:1",
            Some((LOW, Some(true))),
        ),
        ("0:f067aa0ba902b7:0:1", None),
        ("8448eb211c80319c:0:0:1", None),
        ("8448eb211c80319c:f067aa0ba902b7:0", None),
        ("8448eb211c80319c:f067aa0ba902b7:0:1:2", None),
        ("8448eb211c80319c:f067aa0ba902b7:0:x", None),
        (":f067aa0ba902b7:0:1", None),
        (
            "000af7651916cd43dd8448eb211c80319c:f067aa0ba902b7:0:1",
            None,
        ),
    ] {
        let found = read(Propagator::Jaeger, &[("uber-trace-id", header)]);
        assert_eq!(found, expected, "{header}");
    }
}

#[test]
fn x_rays_is_read_in_any_order_and_needs_a_parent() {
    let root = "Root=1-0af76519-16cd43dd8448eb211c80319c";
    let parent = "Parent=00f067aa0ba902b7";
    for (header, expected) in [
        (
            format!("{root};{parent};Sampled=1"),
            Some((IDS, Some(true))),
        ),
        (
            format!("Sampled=0; {parent}; {root}"),
            Some((IDS, Some(false))),
        ),
        (
            format!("Self=1-67891234-12456789abcdef012345678;{root};{parent};Sampled=?"),
            Some((IDS, None)),
        ),
        (
            format!("{root};{parent};Lineage=a87bd80c:0|68fd508a:5"),
            Some((IDS, None)),
        ),
        (root.to_owned(), None),
        (format!("{root};Parent=0000000000000000"), None),
        (
            format!("Root=2-0af76519-16cd43dd8448eb211c80319c;{parent}"),
            None,
        ),
        (
            format!("Root=1-0af7651-916cd43dd8448eb211c80319c;{parent}"),
            None,
        ),
        (
            format!("Root=1-00000000-000000000000000000000000;{parent}"),
            None,
        ),
    ] {
        let found = read(Propagator::XRay, &[("X-Amzn-Trace-Id", &header)]);
        assert_eq!(found, expected, "{header}");
    }
}

#[test]
fn the_last_in_the_list_that_names_a_trace_is_taken() {
    let headers = [
        ("b3", "8448eb211c80319c-00f067aa0ba902b7-0"),
        (
            "uber-trace-id",
            "af7651916cd43dd8448eb211c80319c:f067aa0ba902b7:0:1",
        ),
        ("traceparent", "malformed"),
    ];
    let taken = |order: &[Propagator]| {
        extract(order, &Headers(&headers)).map(|remote| (remote.ids, remote.sampled))
    };
    use Propagator::{B3, Jaeger, TraceContext};
    assert_eq!(taken(&[TraceContext, B3, Jaeger]), Some((IDS, Some(true))));
    assert_eq!(taken(&[Jaeger, B3, TraceContext]), Some((LOW, Some(false))));
    assert_eq!(taken(&[TraceContext]), None);
    // Whether to sample, and nothing else, is taken only where nothing else is there.
    let headers = [headers[1], ("b3", "0")];
    let taken = extract(&[Jaeger, B3], &Headers(&headers));
    assert_eq!(taken.and_then(|remote| remote.ids), IDS);
}

#[test]
fn nothing_is_left_of_the_clients_span_in_several_headers() {
    let changes = Propagator::B3Multi.inject(&trace(TRACE, true), SPAN);
    let removed: Vec<_> = changes
        .iter()
        .filter(|(_, value)| value.is_none())
        .collect();
    assert_eq!(removed.len(), 2);
}

fn trace(trace_id: u128, sampled: bool) -> Trace {
    Trace {
        trace_id,
        client_span_id: 2,
        sampled,
        random: true,
        ..Trace::of_span(1)
    }
}

/// What looks like a context, more or less.
fn garbage() -> impl Strategy<Value = String> {
    const SIZE: Range<usize> = 0..8;
    prop_oneof![
        any::<String>(),
        prop::collection::vec(
            "[0-9a-fA-F]{0,33}|[-:;=%,+ ]|Root=1|Parent=|Sampled=|d",
            SIZE
        )
        .prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(trace_id in 1_u128.., span_id in 1_u64.., sampled: bool) {
        let trace = trace(trace_id, sampled);
        for propagator in ALL {
            let mut headers = propagator.inject(&trace, span_id);
            if propagator == Propagator::TraceContext {
                let parent = String::from_utf8(trace.traceparent(span_id).into()).unwrap();
                headers.push(("traceparent", Some(parent)));
            }
            let headers: Vec<_> = headers
                .iter()
                .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
                .collect();
            let expected = Some((Some((trace_id, span_id)), Some(sampled)));
            prop_assert_eq!(read(propagator, &headers), expected, "{:?}", propagator);
        }
    }

    #[test]
    fn anything_is_read_or_ignored_and_no_id_is_ever_zero(values in prop::collection::vec(garbage(), 8)) {
        let names = [
            "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "uber-trace-id", "x-amzn-trace-id",
        ];
        let headers: Vec<_> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
        for propagator in ALL {
            let found = propagator.extract(&Headers(&headers));
            if let Some(Remote { ids: Some((trace_id, span_id)), .. }) = found {
                prop_assert!(trace_id != 0 && span_id != 0);
            }
        }
    }
}
