"""Markup in every field that a client or an upstream chooses reaches the page as text."""

import http.client
import json
import threading
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import expect

from page import Api
from processes import Proxy, eventually
from upstream import Upstream

IN_PATH = "<u>planted</u>"
PLANTED = f"\"'>{IN_PATH}"


class Planted:
    """Answers every call with markup wherever an answer has room for it; a model that holds on is not answered to the end."""

    def __init__(self):
        self.hold = threading.Event()

    def __call__(self, call, asked):
        if asked["model"].startswith("fails"):
            error = {"error": {"message": PLANTED, "type": PLANTED, "code": PLANTED}}
            return call.whole(400, "application/json", json.dumps(error).encode())
        first, *rest = self.events(len(asked["messages"]) == 1)
        call.begin(200, "text/event-stream")
        call.piece(first)
        if asked["model"].startswith("holds"):
            self.hold.wait()
        for event in rest:
            call.piece(event)
        call.piece(b"")

    @staticmethod
    def events(calls_tool):
        """A streamed answer: of the first turn a tool call, of the next a text."""
        call = {"index": 0, "id": f"call_{PLANTED}", "type": "function", "function": {"name": PLANTED, "arguments": "{}"}}
        delta = {"role": "assistant", "tool_calls": [call]} if calls_tool else {"role": "assistant", "content": PLANTED}
        chunks = [{"delta": delta, "finish_reason": None}, {"delta": {}, "finish_reason": PLANTED}]
        events = [{"id": PLANTED, "object": "chat.completion.chunk", "model": PLANTED, "choices": [{"index": 0, **chunk}]} for chunk in chunks]
        return [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]


@pytest.fixture(scope="module")
def site(binary):
    """A proxy through which calls full of markup went, and one that goes on."""
    planted = Planted()
    with Upstream(planted) as upstream, Proxy(binary, upstream.url) as proxy:
        question = {"role": "user", "content": PLANTED}
        call = {"id": f"call_{PLANTED}", "type": "function", "function": {"name": PLANTED, "arguments": "{}"}}
        history = [question, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": call["id"], "content": PLANTED}]
        post(proxy, f"model {PLANTED}", [question])
        post(proxy, f"model {PLANTED}", history)
        post(proxy, f"fails {PLANTED}", [question])
        post(proxy, f"fails {PLANTED}", [question], f"/v1/{IN_PATH}?q={IN_PATH}")
        held = threading.Thread(target=post, args=(proxy, f"holds {PLANTED}", [question]), daemon=True)
        held.start()
        api = Api(f"http://{proxy.admin}")
        eventually("what ended", lambda: api.get("exchanges")["total"] >= 4)
        eventually("what has not", lambda: any("holds" in (one["model"] or "") for one in api.get("in-flight")["exchanges"]))
        yield f"http://{proxy.admin}", api
        planted.hold.set()
        held.join()


def post(proxy, model, messages, path="/v1/chat/completions"):
    client = http.client.HTTPConnection(*urlsplit(proxy.base_url).netloc.split(":"))
    body = json.dumps({"model": model, "stream": True, "messages": messages})
    client.request("POST", path, body, {"content-type": "application/json", "user-agent": PLANTED})
    client.getresponse().read()
    client.close()


REGIONS = {"now": [".in-flight", ".newest"], "latency": [".models"], "exchanges": [".long"]}
"""Where a view shows it."""


def test_markup_is_text_in_every_view(open_page, site):
    admin, api = site
    view = open_page(admin)
    rows = api.get("exchanges")["exchanges"]
    conversation = next(row["conversation"] for row in rows if row["turn"] == 2)
    places = ["now", "latency", "exchanges", "conversations", f"conversation/{conversation}"]
    places += [f"exchange/{row['id']}" for row in rows]
    seen = {}
    for place in places:
        view.go(place)
        for region in REGIONS.get(place, ["main"]):
            expect(view(region, has_text=IN_PATH)).to_be_visible()
        assert view("main u").count() == 0, place
        seen[place] = view("main").inner_text()
    details = "".join(seen[f"exchange/{row['id']}"] for row in rows)
    for planted in [f"model {PLANTED}", f"/v1/{IN_PATH}", f"user_agent.original\t{PLANTED}", f"{PLANTED}\t2 characters"]:
        assert planted in details, planted


def test_what_the_url_holds_is_text(open_page, site):
    admin, _ = site
    view = open_page(admin)
    places = {
        "exchange/{}": ".empty",
        "conversation/{}": ".empty",
        "{}": ".newest .row .time a",
        "latency?since={}": ".models .chip",
        "exchanges?q={}": ".wrong",
        "gauge/{}": ".config tbody tr",
    }
    for place, there in places.items():
        place = place.format(quote(PLANTED))
        view.go(place)
        expect(view(there).first).to_be_visible()
        assert view("main u").count() == 0, place
