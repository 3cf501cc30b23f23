//! What each client does, one by one.

use super::*;
use crate::exchange::{Again, Rule, ToolKind};

/// Two calls, and what a client sends after them.
fn two_calls(ids: [&str; 2]) -> [Called; 2] {
    [
        call(ids[0], "weather", "Rome"),
        call(ids[1], "time", "Oslo"),
    ]
}

fn opening() -> Vec<Says> {
    vec![system("Be brief."), user("How is Rome?")]
}

pub(super) fn after(mut messages: Vec<Says>, more: impl IntoIterator<Item = Says>) -> Vec<Says> {
    messages.extend(more);
    messages
}

/// The first exchange calls two tools; a second brings what it is told to.
fn follow_up(
    server: [&str; 2],
    more: impl IntoIterator<Item = Says>,
) -> (Conversation, Conversation) {
    let first = Script::new(1, 0, &opening(), calls("Let me see.", two_calls(server)));
    let second = Script::new(2, 5000, &after(opening(), more), model("Fine."));
    let mut places = told(&[first, second]);
    let second = places.pop().unwrap();
    (places.pop().unwrap(), second)
}

fn results(ids: [&str; 2]) -> [Says; 2] {
    [result(ids[0], "sunny"), result(ids[1], "noon")]
}

fn lasted(place: &Conversation) -> Vec<(&str, u64)> {
    let waits = place.waits.iter();
    waits
        .map(|wait| (&*wait.name, wait.lasted.as_millis() as u64))
        .collect()
}

#[test]
fn a_request_that_brings_the_answer_follows_it_and_ends_the_waits_of_its_tools() {
    let ids = ["call_a", "call_b"];
    let (first, second) = follow_up(
        ids,
        after(vec![calls("Let me see.", two_calls(ids))], results(ids)),
    );
    assert_eq!(
        (first.turn, first.linked_by, previous(&first)),
        (1, None, None)
    );
    assert_eq!(second.id, first.id);
    assert_eq!((second.turn, second.branch, second.depth), (2, 0, 0));
    assert_eq!(second.linked_by, Some(Rule::Calls));
    assert_eq!(previous(&second), Some(1));
    assert_eq!(lasted(&second), [("weather", 4600), ("time", 4500)]);
    let wait = &second.waits[0];
    assert_eq!(wait.call_id.as_deref(), Some("call_a"));
    assert_eq!(wait.kind, ToolKind::Function);
    assert_eq!(wait.called_by.unwrap().client_span_id, 1);
    assert_eq!(wait.brought_by.unwrap().client_span_id, 2);
}

#[test]
fn text_beside_calls_may_be_dropped() {
    let ids = ["call_a", "call_b"];
    let (_, second) = follow_up(ids, after(vec![calls("", two_calls(ids))], results(ids)));
    assert_eq!(second.linked_by, Some(Rule::Calls));
}

#[test]
fn results_in_the_order_of_completion_are_matched_by_id() {
    let ids = ["call_a", "call_b"];
    let mut turned = results(ids);
    turned.reverse();
    let (_, second) = follow_up(ids, after(vec![calls("", two_calls(ids))], turned));
    assert_eq!(lasted(&second), [("time", 4500), ("weather", 4600)]);
}

#[test]
fn ids_that_the_client_made_are_matched_by_name_and_arguments() {
    for server in [["", ""], ["x1", "x2"]] {
        let ids = ["call_0001", "call_0002"];
        let brought = after(vec![calls("", two_calls(ids))], results(ids));
        let (_, second) = follow_up(server, brought);
        assert_eq!(second.linked_by, Some(Rule::CallNames));
        assert_eq!(lasted(&second), [("weather", 4600), ("time", 4500)]);
    }
}

#[test]
fn a_text_is_matched_also_where_the_client_adds_to_it() {
    for (text, rule) in [
        ("Sunny.", Rule::Text),
        ("Sunny.\n\nFiles: a.rs", Rule::TextPrefix),
    ] {
        let first = Script::new(1, 0, &opening(), model("Sunny."));
        let next = after(opening(), [model(text), user("And Oslo?")]);
        let second = Script::new(2, 5000, &next, model("Rain."));
        let places = told(&[first, second]);
        assert_eq!(places[1].linked_by, Some(rule));
        assert_eq!(places[1].turn, 2);
        assert_eq!(places[1].id, places[0].id);
    }
}

#[test]
fn a_history_as_text_is_found_by_the_ids_in_it() {
    let (_, second) = follow_up(
        ["call_a", "call_b"],
        [user("Called call_a: sunny, call_b: noon")],
    );
    assert_eq!(second.linked_by, Some(Rule::CallIdInText));
    assert_eq!(
        lasted(&second),
        [],
        "whether a text has the result, nobody can tell"
    );
}

#[test]
fn a_request_may_name_the_response_and_bring_only_what_is_new() {
    let ids = ["call_a", "call_b"];
    let first = Script::new(1, 0, &opening(), calls("", two_calls(ids)));
    let mut first = first.exchange();
    first.response.id = Some("resp_1".to_owned());
    let second = Script::new(2, 5000, &results(ids), model("Fine."));
    let mut second = second.exchange();
    second.request.previous_response_id = Some("resp_1".to_owned());
    let mut correlator = correlator();
    let first = correlator.take(&first).unwrap();
    let second = correlator.take(&second).unwrap();
    assert_eq!((second.id, second.turn), (first.id, 2));
    assert_eq!(second.linked_by, Some(Rule::ResponseId));
    assert_eq!(lasted(&second), [("weather", 4600), ("time", 4500)]);
    assert_eq!(second.reuse, None, "what is not there has not changed");
}

#[test]
fn a_request_may_name_an_item_of_the_answer() {
    let mut first = Script::new(1, 0, &opening(), model("Sunny.")).exchange();
    let answer = first.history.as_mut().unwrap().answer.as_mut().unwrap();
    answer.item_ids.push(digest("msg_1"));
    let mut second = Script::new(
        2,
        5000,
        &after(opening(), [user("And Oslo?")]),
        model("Rain."),
    );
    let ask = |second: &Script| {
        let mut second = second.exchange();
        second
            .history
            .as_mut()
            .unwrap()
            .item_ids
            .push(digest("msg_1"));
        let mut correlator = correlator();
        correlator.take(&first);
        correlator.take(&second).unwrap().linked_by
    };
    assert_eq!(ask(&second), Some(Rule::ItemId));
    second.messages[1] = user("Somebody else's words.");
    assert_eq!(ask(&second), None, "an id alone never links");
}

#[test]
fn a_history_may_lose_its_middle() {
    let ids = ["call_a", "call_b"];
    let first = after(
        opening(),
        after(vec![calls("", two_calls(ids))], results(ids)),
    );
    let third = after(opening(), [model("Fine."), user("And Oslo?")]);
    let places = told(&[
        Script::new(1, 0, &opening(), calls("", two_calls(ids))),
        Script::new(2, 5000, &first, model("Fine.")),
        Script::new(3, 9000, &third, model("Rain.")),
    ]);
    assert_eq!(previous(&places[2]), Some(2));
    assert_eq!((places[2].turn, places[2].branch), (3, 0));
}

#[test]
fn an_edited_history_begins_a_branch_where_it_left() {
    let second = after(opening(), [model("Sunny."), user("And Oslo?")]);
    let edited = after(opening(), [model("Sunny."), user("And Paris?")]);
    let on = after(edited.clone(), [model("Rain."), user("And Bonn?")]);
    let places = told(&[
        Script::new(1, 0, &opening(), model("Sunny.")),
        Script::new(2, 2000, &second, model("Snow.")),
        Script::new(3, 4000, &edited, model("Rain.")),
        Script::new(4, 6000, &on, model("Fog.")),
    ]);
    let at: Vec<_> = places
        .iter()
        .map(|place| (place.turn, place.branch))
        .collect();
    assert_eq!(at, [(1, 0), (2, 0), (2, 1), (3, 1)]);
    assert_eq!(previous(&places[2]), Some(1));
    assert!(places.iter().all(|place| place.id == places[0].id));
}

#[test]
fn an_answer_that_was_not_seen_whole_is_known_by_the_request_before_it() {
    let second = after(opening(), [model("Sun"), user("Go on.")]);
    let places = told(&[
        Script::left(1, 0, &opening()),
        Script::new(2, 2000, &second, model("Sunny.")),
    ]);
    assert_eq!(places[1].linked_by, Some(Rule::Prefix));
    assert_eq!((places[1].turn, previous(&places[1])), (2, Some(1)));
}

#[test]
fn turns_that_only_the_history_shows_are_counted() {
    let known = after(opening(), [model("Unseen."), user("And Oslo?")]);
    let later = after(
        known.clone(),
        [model("Rain."), user("a"), model("Unseen."), user("b")],
    );
    let places = told(&[
        Script::new(1, 0, &known, model("Rain.")),
        Script::new(2, 2000, &later, model("Fog.")),
    ]);
    assert_eq!((places[0].turn, places[1].turn), (2, 4));
}

#[test]
fn the_same_body_is_a_retry_after_a_failure_and_a_repeat_after_a_success() {
    let second = after(opening(), [model("Sunny."), user("And Oslo?")]);
    let places = told(&[
        Script::new(1, 0, &opening(), model("Sunny.")),
        Script::failed(2, 2000, &second),
        Script::failed(3, 2100, &second),
        Script::new(4, 2200, &second, model("Rain.")),
        Script::new(5, 4000, &second, model("Rain.")),
    ]);
    let retry = |tries| {
        let (end, status) = (End::HttpError, Some(429));
        Some(Again::Retry { end, status, tries })
    };
    let again: Vec<_> = places.iter().map(|place| place.again).collect();
    assert_eq!(again, [None, None, retry(1), retry(2), Some(Again::Repeat)]);
    for place in &places[1..] {
        assert_eq!((place.id, place.turn, place.branch), (places[0].id, 2, 0));
        assert_eq!(previous(place), Some(1));
    }
}

#[test]
fn the_same_first_words_are_no_repeat_and_no_branch() {
    let places = told(&[
        Script::new(1, 0, &opening(), model("Sunny.")),
        Script::new(2, 2000, &opening(), model("Sunny.")),
    ]);
    assert_ne!(places[0].id, places[1].id);
    assert_eq!(places[1].again, None);
}

#[test]
fn a_first_request_that_is_tried_again_is_a_retry_but_nobody_knows_whose() {
    let places = told(&[
        Script::failed(1, 0, &opening()),
        Script::new(2, 2000, &opening(), model("Sunny.")),
        Script::new(3, 900_000, &opening(), model("Sunny.")),
    ]);
    assert!(matches!(
        places[1].again,
        Some(Again::Retry { tries: 1, .. })
    ));
    assert_ne!(places[1].id, places[0].id);
    assert_eq!(places[2].again, None);
}

#[test]
fn what_follows_one_of_two_conversations_that_are_the_same_follows_neither() {
    let next = after(opening(), [model("Sunny."), user("And Oslo?")]);
    let on = after(next.clone(), [model("Rain."), user("And Bonn?")]);
    let places = told(&[
        Script::new(1, 0, &opening(), model("Sunny.")),
        Script::new(2, 10, &opening(), model("Sunny.")),
        Script::new(3, 2000, &next, model("Rain.")),
        Script::new(4, 4000, &on, model("Fog.")),
    ]);
    assert_eq!(places[2].linked_by, None);
    assert!(places[2].id != places[0].id && places[2].id != places[1].id);
    assert_eq!(previous(&places[3]), Some(3), "from here on it is another");
}

#[test]
fn no_tenant_and_no_name_shares_a_conversation_with_another() {
    let next = after(opening(), [model("Sunny."), user("And Oslo?")]);
    let first = Script::new(1, 0, &opening(), model("Sunny.")).exchange();
    let second = Script::new(2, 2000, &next, model("Rain.")).exchange();
    let mut other = second.clone();
    other.history.as_mut().unwrap().tenant = Some(digest("other"));
    let mut correlator = correlator();
    let first = correlator.take(&first).unwrap();
    assert_ne!(correlator.take(&other).unwrap().id, first.id);
    let mut named = second.clone();
    named.request.conversation_id = Some("s-1".to_owned());
    assert_ne!(correlator.take(&named).unwrap().id, first.id);
    assert_eq!(correlator.take(&second).unwrap().id, first.id);
}

#[test]
fn a_named_conversation_keeps_its_id_in_every_process() {
    let mut first = Script::new(1, 0, &opening(), model("Sunny.")).exchange();
    let mut second = Script::new(2, 2000, &[user("And Oslo?")], model("Rain.")).exchange();
    for exchange in [&mut first, &mut second] {
        exchange.request.conversation_id = Some("s-1".to_owned());
    }
    let mut here = correlator();
    let first = here.take(&first).unwrap();
    let next = here.take(&second).unwrap();
    assert_eq!((next.id, next.turn), (first.id, 2));
    assert_eq!(next.linked_by, Some(Rule::Named));
    let mut there = Correlator::in_memory(Bounds::default(), Thresholds::default(), 8);
    assert_eq!(there.take(&second).unwrap().id, first.id);
}

#[test]
fn nothing_follows_what_was_not_yet_said_when_it_began() {
    let mut second = Script::new(
        2,
        100,
        &after(opening(), [model("Sunny."), user("?")]),
        model("Rain."),
    );
    second.took = 60_000;
    let mut first = Script::new(1, 0, &opening(), model("Sunny."));
    first.took = 30_000;
    assert_eq!(told(&[first, second])[1].linked_by, None);
}

#[test]
fn an_exchange_that_its_successor_overtook_takes_its_place_before_it() {
    let ids = ["call_a", "call_b"];
    let opened = after(opening(), [model("Sunny."), user("And Oslo?")]);
    let next = after(
        opened.clone(),
        after(vec![calls("", two_calls(ids))], results(ids)),
    );
    let mut slow = Script::new(2, 2000, &opened, calls("", two_calls(ids)));
    slow.took = 60_000;
    let places = told(&[
        Script::new(1, 0, &opening(), model("Sunny.")),
        slow.clone(),
        Script::new(3, 4000, &next, model("Fine.")),
    ]);
    let at: Vec<_> = places
        .iter()
        .map(|place| (place.turn, place.branch))
        .collect();
    assert_eq!(at, [(1, 0), (2, 0), (3, 0)]);
    assert_eq!(lasted(&places[1]), [("weather", 1600), ("time", 1500)]);
    assert_eq!(places[1].waits[0].brought_by.unwrap().client_span_id, 3);
    // Also where it is the first of all.
    let next = after(
        opening(),
        after(vec![calls("", two_calls(ids))], results(ids)),
    );
    slow.messages = opening();
    let places = told(&[slow, Script::new(3, 4000, &next, model("Fine."))]);
    assert_eq!(places[0].id, places[1].id);
    assert_eq!((places[0].turn, places[1].turn), (1, 2));
    assert_eq!(lasted(&places[0]), [("weather", 1600), ("time", 1500)]);
}

#[test]
fn each_result_is_counted_once() {
    let ids = ["call_a", "call_b"];
    let second = after(
        opening(),
        after(vec![calls("", two_calls(ids))], results(ids)),
    );
    let third = after(second.clone(), [model("Fine."), user("And Oslo?")]);
    let places = told(&[
        Script::new(1, 0, &opening(), calls("", two_calls(ids))),
        Script::failed(2, 2000, &second),
        Script::new(3, 3000, &second, model("Fine.")),
        Script::new(4, 5000, &third, model("Fog.")),
    ]);
    let counts: Vec<_> = places.iter().map(|place| place.waits.len()).collect();
    assert_eq!(
        counts,
        [0, 2, 0, 0],
        "the request that failed had brought them"
    );
}

#[test]
fn output_of_a_structure_and_what_a_provider_runs_have_no_wait() {
    let ids = ["call_a", "call_b"];
    let mut first = Script::new(1, 0, &opening(), calls("", two_calls(ids))).exchange();
    first.response.tool_calls[0].forced = true;
    first.response.tool_calls[1].kind = ToolKind::Extension;
    let second = after(
        opening(),
        after(vec![calls("", two_calls(ids))], results(ids)),
    );
    let mut correlator = correlator();
    correlator.take(&first);
    let second = Script::new(2, 2000, &second, model("Fine.")).exchange();
    assert_eq!(correlator.take(&second).unwrap().waits, []);
}

#[test]
fn a_conversation_that_begins_with_an_argument_of_a_pending_call_is_its_child() {
    let asks = [call("call_a", "ask", "Find the source of the Nile.")];
    let child = [system("You search."), user("Find the source of the Nile.")];
    let done = after(
        opening(),
        [calls("", asks.clone()), result("call_a", "Found.")],
    );
    let places = told(&[
        Script::new(1, 0, &opening(), calls("", asks)),
        Script::new(2, 2000, &child, model("Found.")),
        Script::new(3, 4000, &done, model("Fine.")),
        Script::new(4, 6000, &child, model("Found, too.")),
    ]);
    let parent = places[1].parent.unwrap();
    assert_eq!(parent.id, places[0].id);
    assert_eq!(parent.exchange.unwrap().client_span_id, 1);
    assert_eq!((places[1].depth, places[1].turn), (1, 1));
    assert_ne!(places[1].id, places[0].id);
    assert_eq!(places[3].parent, None, "nothing is pending any more");
}

#[test]
fn a_user_with_the_words_that_another_ones_search_was_called_with_is_no_child_of_it() {
    let question = [system("You help."), user("Where does the Nile begin?")];
    let search = [call("call_a", "search", "Where does the Nile begin?")];
    let places = told(&[
        Script::new(1, 0, &question, calls("", search.clone())),
        Script::new(2, 2000, &question, calls("", search)),
    ]);
    assert_eq!(places[1].parent, None);
    assert_eq!(places[1].depth, 0);
}

#[test]
fn an_agent_that_runs_in_circles_is_seen() {
    let mut messages = opening();
    let mut scripts = Vec::new();
    for turn in 0..5 {
        let id = format!("call_{turn}");
        let again = calls("", [call(&id, "weather", "Rome")]);
        scripts.push(Script::new(turn, turn * 2000, &messages, again.clone()));
        messages.extend([again, result(&id, "no answer")]);
    }
    let places = told(&scripts);
    let times: Vec<_> = places
        .iter()
        .map(|place| place.repeated_calls.first().map(|repeated| repeated.times))
        .collect();
    assert_eq!(times, [None, None, Some(3), Some(4), Some(5)]);
    let idle: Vec<_> = places.iter().map(|place| place.without_progress).collect();
    assert_eq!(idle, [None, None, None, Some(3), Some(4)]);
}

#[test]
fn a_history_that_grows_is_told_each_time_that_it_has_doubled() {
    let thresholds = Thresholds {
        history_bytes: 1000,
        ..Thresholds::default()
    };
    let mut correlator = Correlator::in_memory(Bounds::default(), thresholds, 7);
    let mut messages = opening();
    let mut grown = Vec::new();
    for turn in 0..40 {
        let answer = model(&format!("Answer {turn}, which is of a certain length."));
        let script = Script::new(turn, turn * 2000, &messages, answer.clone());
        grown.extend(correlator.take(&script.exchange()).unwrap().grown_bytes);
        messages.extend([answer, user(&format!("Question {turn}?"))]);
    }
    assert!(grown.len() >= 2 && grown[0] >= 1000, "{grown:?}");
    assert!(
        grown.windows(2).all(|pair| pair[1] >= 2 * pair[0]),
        "{grown:?}"
    );
}

#[test]
fn an_earlier_turn_tells_which_of_two_conversations_is_meant() {
    let ids = [["call_a", "call_b"], ["call_c", "call_d"]];
    let brought = ids.map(|ids| {
        after(
            opening(),
            after(vec![calls("", two_calls(ids))], results(ids)),
        )
    });
    let on = brought
        .clone()
        .map(|messages| after(messages, [model("Fine."), user("And Oslo?")]));
    let mut scripts = Vec::new();
    for at in 0..2 {
        let number = at as u64 * 10;
        scripts.push(Script::new(
            number + 1,
            number,
            &opening(),
            calls("", two_calls(ids[at])),
        ));
        scripts.push(Script::new(
            number + 2,
            number + 2000,
            &brought[at],
            model("Fine."),
        ));
        scripts.push(Script::new(
            number + 3,
            number + 4000,
            &on[at],
            model("Fog."),
        ));
    }
    let places = told(&scripts);
    for (at, three) in places.chunks(3).enumerate() {
        let number = at as u64 * 10;
        let followed: Vec<_> = three.iter().map(previous).collect();
        assert_eq!(followed, [None, Some(number + 1), Some(number + 2)]);
        assert_eq!(three[2].branch, 0);
    }
    assert_ne!(places[0].id, places[3].id);
}

#[test]
fn calls_side_by_side_under_one_name_are_in_one_conversation_and_lose_nothing_of_it() {
    let mut correlator = correlator();
    let tokens = [0, 100].map(|began| {
        let script = Script::new(began, began, &opening(), model("Sunny."));
        let mut exchange = script.exchange();
        exchange.request.conversation_id = Some("s-1".to_owned());
        exchange.started_at += MS(began * 10_000);
        exchange.times.end = MS(2_000_000);
        exchange.times.last_token = None;
        exchange.usage.input_tokens = Some(10);
        let place = correlator.take(&exchange).unwrap();
        (place.id, place.tokens)
    });
    assert_eq!(tokens[0].0, tokens[1].0);
    assert_eq!(tokens.map(|(_, tokens)| tokens), [Some(10), Some(20)]);
}

/// A text that an agent adds to the end of a request, and leaves out of the next.
fn reminder(at: u32) -> Says {
    user(&format!("<reminder>{at} tasks are open</reminder>"))
}

/// Three requests of an agent in a row, the second and the third of which bring what came before; those whose number is listed
/// end with a reminder.
fn reminded(numbers: [u64; 3], which: &[usize], began: u64) -> [Script; 3] {
    let ids = ["call_a", "call_b"];
    let second = after(
        opening(),
        after(vec![calls("", two_calls(ids))], results(ids)),
    );
    let third = after(second.clone(), [model("Fine."), user("And Oslo?")]);
    let messages = [opening(), second, third];
    let answers = [calls("", two_calls(ids)), model("Fine."), model("Rain.")];
    [0, 1, 2].map(|at| {
        let more = which.contains(&at).then(|| reminder(at as u32));
        let messages = after(messages[at].clone(), more);
        Script::new(
            numbers[at],
            began + 5000 * at as u64,
            &messages,
            answers[at].clone(),
        )
    })
}

#[test]
fn a_reminder_that_the_next_request_leaves_out_parts_nothing() {
    for which in [&[0, 1, 2][..], &[0], &[1], &[0, 2], &[]] {
        let places = told(&reminded([1, 2, 3], which, 0));
        let found: Vec<_> = places
            .iter()
            .map(|place| (place.turn, place.branch, previous(place)))
            .collect();
        assert_eq!(
            found,
            [(1, 0, None), (2, 0, Some(1)), (3, 0, Some(2))],
            "{which:?}"
        );
        let rules: Vec<_> = places.iter().map(|place| place.linked_by).collect();
        assert_eq!(
            rules,
            [None, Some(Rule::Calls), Some(Rule::Text)],
            "{which:?}"
        );
        assert_eq!(lasted(&places[1]), [("weather", 4600), ("time", 4500)]);
    }
}

#[test]
fn a_text_that_is_left_out_makes_no_link_where_two_conversations_are_meant() {
    let one = reminded([1, 2, 3], &[0, 1, 2], 0);
    let other = reminded([4, 5, 6], &[0, 1, 2], 10);
    let scripts: Vec<_> = one.into_iter().chain(other).collect();
    for (script, place) in scripts.iter().zip(told(&scripts)) {
        let same = |number: u64| (number <= 3) == (script.number <= 3);
        assert!(
            previous(&place).is_none_or(same),
            "{}: {place:?}",
            script.number
        );
    }
}

#[test]
fn what_was_said_to_the_end_goes_before_what_was_left_out() {
    let ids = ["call_a", "call_b"];
    let called = || calls("", two_calls(ids));
    // Two users begin alike, and the model says the same; one of them said more.
    let plain = Script::new(1, 0, &opening(), called());
    let more = Script::new(2, 10, &after(opening(), [user("In Celsius.")]), called());
    let next = after(opening(), after(vec![called()], results(ids)));
    let next = Script::new(3, 5000, &next, model("Fine."));
    let places = told(&[plain, more, next]);
    assert_eq!(previous(&places[2]), Some(1));
}
