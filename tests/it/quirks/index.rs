//! The list of quirks, `docs/quirks.md`, against the code and the tests: what is counted is in the list, and each item of
//! the list is played by a fixture or by a test that is named here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use streamgauge::exchange::Quirk;

use super::fixture;

/// Quirks that no fixture plays alone, with the file of a test that does, and its name.
const NAMED: &[(&str, &str, &str)] = &[
    (
        "A-12",
        "src/dialect/tests/chat.rs",
        "a_very_long_event_is_skipped_and_the_next_one_read",
    ),
    (
        "A-12",
        "tests/it/traces/truth.rs",
        "an_event_beyond_the_bound_passes_and_is_counted_unread",
    ),
    (
        "A-13",
        "tests/it/quirks.rs",
        "every_fixture_comes_to_the_same_facts_in_every_coding",
    ),
    (
        "A-13",
        "tests/it/quirks.rs",
        "a_coding_that_cannot_be_undone_is_counted",
    ),
    (
        "A-19",
        "tests/it/disconnect.rs",
        "a_client_that_closes_after_the_last_event_has_not_left",
    ),
    (
        "A-20",
        "tests/it/disconnect.rs",
        "an_upstream_that_breaks_off_breaks_the_clients_body_after_its_last_byte",
    ),
    (
        "A-21",
        "tests/it/errors.rs",
        "a_stream_that_falls_silent_for_too_long_is_broken_off",
    ),
    (
        "A-22",
        "tests/it/streaming.rs",
        "each_write_goes_out_in_its_own_chunk_while_the_stream_stays_open",
    ),
    (
        "A-23",
        "tests/it/transparency.rs",
        "hop_by_hop_fields_of_a_response_stop_at_the_proxy",
    ),
    (
        "A-24",
        "tests/it/transparency.rs",
        "response_header_fields_keep_order_spelling_and_duplicates",
    ),
    (
        "A-25",
        "tests/it/multiplexed.rs",
        "empty_frames_of_other_responses_break_no_stream",
    ),
    (
        "C-11",
        "tests/it/usage_edit.rs",
        "a_refused_edit_is_repeated_once_with_the_original_and_remembered_when_that_succeeds",
    ),
    (
        "C-11",
        "tests/it/quirks.rs",
        "a_refusal_to_report_usage_is_counted",
    ),
    (
        "C-12",
        "tests/it/usage_edit.rs",
        "the_client_sees_the_same_bytes_wherever_the_stream_is_cut",
    ),
    (
        "C-21",
        "tests/it/usage_learning.rs",
        "an_event_that_carries_measurements_reaches_the_client_and_is_asked_for_no_more",
    ),
    (
        "C-22",
        "tests/it/usage_learning.rs",
        "identifiers_that_moved_into_the_event_go_with_it_and_are_counted",
    ),
    (
        "F-09",
        "tests/it/disconnect.rs",
        "a_client_that_leaves_a_stream_ends_the_upstream_call",
    ),
    (
        "F-13",
        "tests/it/transparency.rs",
        "response_header_fields_keep_order_spelling_and_duplicates",
    ),
    (
        "G-06",
        "tests/it/traces.rs",
        "what_is_no_inference_is_one_server_span",
    ),
    (
        "H-07",
        "tests/it/realtime.rs",
        "the_responses_api_over_websocket_has_a_span_for_each_response",
    ),
    (
        "J-06",
        "tests/it/transparency/bodies.rs",
        "a_large_download_streams",
    ),
    (
        "J-07",
        "tests/it/transparency.rs",
        "any_request_target_passes_verbatim",
    ),
    (
        "K-02",
        "tests/it/traces/truth.rs",
        "events_of_one_frame_have_no_time_between_them",
    ),
    (
        "K-03",
        "tests/it/traces/truth.rs",
        "times_count_from_the_last_byte_of_the_request",
    ),
    (
        "K-04",
        "tests/it/traces.rs",
        "a_whole_chat_answer_has_no_stream_facts",
    ),
    (
        "K-05",
        "tests/it/traces/truth.rs",
        "the_firsts_are_kept_apart_and_come_in_the_order_of_the_wire",
    ),
    (
        "K-06",
        "tests/it/streaming.rs",
        "a_client_that_does_not_read_holds_up_the_upstream",
    ),
    (
        "K-07",
        "tests/it/traces/attempts.rs",
        "each_attempt_is_a_client_span_under_the_inference",
    ),
    (
        "L-01",
        "tests/it/usage_edit.rs",
        "what_the_client_asked_for_itself_passes_untouched",
    ),
    (
        "L-02",
        "tests/it/usage_edit.rs",
        "the_request_gains_one_member_and_nothing_else_changes",
    ),
    (
        "L-03",
        "src/proxy/usage/tests.rs",
        "what_the_client_said_or_may_have_said_is_left_alone",
    ),
    (
        "L-04",
        "src/dialect/tests/chat.rs",
        "members_of_a_wrong_type_are_absent_and_counted",
    ),
    (
        "L-05",
        "tests/it/quirks.rs",
        "a_compressed_request_is_read_and_counted",
    ),
    (
        "L-06",
        "tests/it/transparency/bodies.rs",
        "a_request_too_large_to_inspect_streams_unedited_and_is_counted",
    ),
    (
        "L-07",
        "tests/it/logs.rs",
        "no_output_carries_a_body_or_a_credential",
    ),
    (
        "L-08",
        "src/dialect/tests/chat.rs",
        "requests_are_known_by_the_tail_of_their_path",
    ),
    (
        "L-09",
        "tests/it/transparency.rs",
        "response_header_fields_keep_order_spelling_and_duplicates",
    ),
    (
        "L-10",
        "src/dialect/tests/chat.rs",
        "a_chat_request_is_read_whole",
    ),
    (
        "L-11",
        "tests/it/usage_edit.rs",
        "the_request_gains_one_member_and_nothing_else_changes",
    ),
    (
        "L-12",
        "tests/it/transparency.rs",
        "request_header_fields_keep_order_spelling_and_duplicates",
    ),
    (
        "L-13",
        "tests/it/careless.rs",
        "what_a_careless_upstream_left_unread_is_in_no_other_call",
    ),
];

/// Every quirk of the list, and whether it is counted.
fn listed() -> BTreeMap<String, bool> {
    let text = include_str!("../../../docs/quirks.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (id, rest) = row.split_once('`').unwrap();
        let counted = rest.split('|').nth(2).unwrap().trim();
        (id.to_owned(), counted == "yes")
    })
    .collect()
}

fn named() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (id, file, test) in NAMED {
        let source = fs::read_to_string(root.join(file)).unwrap();
        let is_there = source.contains(&format!("fn {test}()"));
        assert!(is_there, "{file} has no test {test}, which is to play {id}");
    }
    NAMED.iter().map(|(id, ..)| (*id).to_owned()).collect()
}

/// Fails with what the list lacks, and with what it has too much.
fn compare(known: &BTreeSet<String>, listed: &BTreeSet<String>) {
    let lacks: Vec<_> = known.difference(listed).collect();
    let only: Vec<_> = listed.difference(known).collect();
    assert!(
        lacks.is_empty() && only.is_empty(),
        "docs/quirks.md lacks {lacks:?}, and only there is {only:?}"
    );
}

#[test]
fn the_list_has_what_is_counted_and_says_so() {
    let counted = listed().into_iter().filter(|(_, counted)| *counted);
    let counted: BTreeSet<_> = counted.map(|(id, _)| id).collect();
    let known: BTreeSet<_> = Quirk::ALL.map(|quirk| quirk.id().to_owned()).into();
    compare(&known, &counted);
}

#[test]
fn every_quirk_of_the_list_is_played_by_a_fixture_or_a_test() {
    let fixtures = fixture::all();
    let stands_for = fixtures.iter().flat_map(|fixture| {
        let mut ids = fixture.stands_for();
        let unknown = |id: &String| id.starts_with("unknown_");
        ids.extend(fixture.counted().into_iter().filter(unknown));
        ids
    });
    let mut played: BTreeSet<String> = stands_for.collect();
    played.extend(named());
    compare(&played, &listed().into_keys().collect());
}

#[test]
fn every_quirk_that_is_counted_is_expected_of_a_fixture_or_a_test() {
    let fixtures = fixture::all();
    let mut expected: BTreeSet<_> = fixtures
        .iter()
        .flat_map(fixture::Fixture::counted)
        .collect();
    expected.extend(named());
    let known = Quirk::ALL.map(Quirk::id);
    let missing: Vec<_> = known.iter().filter(|id| !expected.contains(**id)).collect();
    assert!(missing.is_empty(), "never expected: {missing:?}");
}
