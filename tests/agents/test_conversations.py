"""What streamgauge reads off the wire of an agent: which requests belong together, and how long each tool was waited for.

What is expected stands in the table of frameworks, `runs.py`.
"""

import json

import pytest

from runs import RUNS, run_name
from processes import eventually, fetch
from script import calls

SLACK_NS = 5_000_000
"""By how much a measurement may be off."""


def ids(run):
    framework, mode = run
    return run_name(framework, mode)


@pytest.fixture
def inferences(outcomes, collector):
    """Waits for the inference spans of a run, in the order of its requests."""

    def found(framework, mode):
        outcomes(framework)
        path = f"/proxied/{run_name(framework, mode)}/"
        servers = collector.wait_for(f"4 SERVER spans of {path}", lambda span, of: path in of.get("url.path", ""), 4)
        above = {span.span_id for span, _ in servers}
        below = collector.wait_for(
            f"4 inference spans of {path}",
            lambda span, of: span.parent_span_id in above and "gen_ai.operation.name" in of and "gen_ai.request.model" in of,
            4,
        )
        return sorted(below, key=lambda found: found[0].start_time_unix_nano)

    return found


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_the_requests_of_a_conversation_are_linked(run, inferences):
    framework, mode = run
    spans = [attributes for _, attributes in inferences(framework, mode)]
    conversations = [attributes["streamgauge.conversation.id"] for attributes in spans]
    turns = [attributes["streamgauge.conversation.turn"] for attributes in spans]
    first = turns[0]
    if framework.second_turn:
        assert len(set(conversations)) == 1
        assert turns == [first, first + 1, first + 2, first + 3]
        linked = spans[1:]
    else:
        assert conversations[0] == conversations[1] != conversations[2] == conversations[3]
        assert turns == [first, first + 1] * 2
        linked = [spans[1], spans[3]]
    assert all("streamgauge.conversation.linked_by" in attributes for attributes in linked)


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_no_two_runs_share_a_conversation(run, inferences):
    framework, mode = run
    own = {attributes["streamgauge.conversation.id"] for _, attributes in inferences(framework, mode)}
    for other in framework.modes:
        if other != mode:
            others = {attributes["streamgauge.conversation.id"] for _, attributes in inferences(framework, other)}
            assert not own & others


@pytest.mark.parametrize("run", [run for run in RUNS if run[0].tells_results], ids=ids)
def test_a_tool_is_waited_for_as_long_as_it_took_and_its_client_took_besides(run, outcomes, model, collector):
    """The wait lies between two instants of the model's: it sent the call's last argument before the proxy had it, and got the
    results after the proxy did. What the tool itself measured lies within the wait. Both hold on a machine of any load."""
    framework, mode = run
    name = run_name(framework, mode)
    tools = outcomes(framework)[f"proxied {mode}"]["tools"]
    requests = model.requests["proxied", name]
    for turn, wanted in enumerate(calls(name)):
        for id, tool, _ in wanted:
            spans = collector.wait_for(f"the wait for {id}", lambda span, of: of.get("gen_ai.tool.call.id") == id, 1)
            assert len(spans) == 1, "a result is counted once, though later requests repeat it"
            span, attributes = spans[0]
            assert span.name == f"tool_wait {attributes['gen_ai.tool.name']}"
            assert attributes["gen_ai.tool.name"].endswith(tool)
            assert attributes["streamgauge.inferred"] is True
            waited = span.end_time_unix_nano - span.start_time_unix_nano
            ran = next(ran for ran in tools if ran["name"] == tool and (ran["arguments"]["city"] == "Bern") == (turn == 1))
            took = ran["ended"] - ran["begun"]
            most = requests[2 * turn + 1]["at"] - model.sent["proxied", name, id]
            assert took - SLACK_NS <= waited <= most + SLACK_NS


@pytest.mark.parametrize("run", [run for run in RUNS if not run[0].tells_results], ids=ids)
def test_of_results_in_texts_no_wait_is_told(run, inferences, collector):
    framework, mode = run
    inferences(framework, mode)
    wanted = {id for turn in calls(run_name(framework, mode)) for id, *_ in turn}
    assert not collector.seen(lambda span, of: of.get("gen_ai.tool.call.id") in wanted)


def test_a_history_that_is_rewritten_breaks_the_prompt_cache(inferences, model, proxy):
    """A break is a message that a request has otherwise than the one before it, which the model saw itself."""
    expected = 0
    for framework, mode in RUNS:
        inferences(framework, mode)
        bodies = [json.loads(request["body"]) for request in model.requests["proxied", run_name(framework, mode)]]
        pairs = list(zip(bodies, bodies[1:]))
        if not framework.second_turn:
            del pairs[1]
        expected += sum(rewrites(before, after) for before, after in pairs)
    assert expected > 0, "no framework rewrites its history any more"

    def counted():
        metrics = fetch(f"http://{proxy.admin}/metrics") or ""
        samples = (line for line in metrics.splitlines() if line.startswith("streamgauge_prompt_cache_breaks_total"))
        found = sum(float(line.split()[-1]) for line in samples if 'segment="message' in line)
        return found == expected

    eventually(f"{expected} cache breaks to be counted", counted)


def rewrites(before, after):
    """Whether a message of a request is not the same in the next one, member for member."""
    pairs = zip(before["messages"], after["messages"])
    return any(json.dumps(one) != json.dumps(other) for one, other in pairs)
