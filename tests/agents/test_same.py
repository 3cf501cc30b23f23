"""Each framework does and says the same through streamgauge as direct, and the model gets the same requests."""

import json

import pytest

from runs import MODES, RUNS, run_name
from script import TEXTS, calls

INJECTED = b'"stream_options":{"include_usage":true},'
OURS = {"traceparent"}
"""Headers that the proxy adds."""
CHANGED = {"host", "accept-encoding", "content-length", "connection"}
"""Headers that it may change: to those of another hop, and as the edit for usage asks for."""


def ids(run):
    framework, mode = run
    return run_name(framework, mode)


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_the_framework_says_and_does_the_same(run, outcomes):
    framework, mode = run
    direct, proxied = (outcomes(framework)[f"{way} {mode}"] for way in ("direct", "proxied"))
    assert [said.strip() for said in direct["answers"]] == [text.strip() for text in TEXTS]
    assert proxied["answers"] == direct["answers"]
    assert done(proxied) == done(direct)
    assert len(direct["tools"]) == sum(map(len, calls(run_name(framework, mode))))


def done(outcome):
    """What the tools did, whatever the order in which parallel ones ended."""
    return sorted((tool["name"], sorted(tool["arguments"].items())) for tool in outcome["tools"])


@pytest.mark.parametrize("run", RUNS, ids=ids)
def test_the_model_gets_the_same_requests(run, outcomes, model):
    framework, mode = run
    outcomes(framework)
    name = run_name(framework, mode)
    direct, proxied = model.requests["direct", name], model.requests["proxied", name]
    assert len(direct) == len(proxied) == 4
    for sent, came in zip(direct, proxied):
        assert without_edit(came["body"], sent["body"]) == sent["body"]
        assert headers(came) == headers(sent)
        assert bool(json.loads(sent["body"]).get("stream")) == MODES[mode]


def without_edit(came, sent):
    """A body less what the proxy put in, where the client had not asked for usage itself."""
    return came if b"stream_options" in sent else came.replace(INJECTED, b"", 1)


def headers(request):
    apart = OURS | CHANGED
    return {name.lower(): value for name, value in request["headers"].items() if name.lower() not in apart}
