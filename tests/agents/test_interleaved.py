"""A thousand conversations at the same time, through the real program: no request is linked to a conversation that is not its own.

All have one system prompt, one credential and one of few first messages. In some the tools are called with the same arguments in
each of them, or under the same ids, or the client writes the ids anew, or the answers are the same texts.
"""

import http.client
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from collector import Collector
from processes import Proxy

CONVERSATIONS = 1000
ROUNDS = 3
"""Requests of each conversation: one with a question, one with what its answer asks for, one with another question."""
WORKERS = 8
FIRST_WORDS = ["Hello!", "What is the weather?", "Fix the build.", "Summarize this.", "Who are you?"]
TOLD_APART = ["own ids", "own arguments, ids rewritten", "own texts"]
"""Kinds in which an answer says which conversation it is of."""
ALIKE = ["same ids and arguments", "same texts"]
"""Kinds in which conversations with the same first words are the same up to there."""
KINDS = TOLD_APART + ALIKE


class Talk:
    """One conversation, by number."""

    def __init__(self, number):
        self.number = number
        self.kind = KINDS[number % len(KINDS)]
        first = FIRST_WORDS[number // len(KINDS) % len(FIRST_WORDS)]
        self.messages = [{"role": "system", "content": "You are a helpful agent."}, {"role": "user", "content": first}]

    def answer(self, turn):
        """The model's message of a turn."""
        if self.kind == "own texts" or (self.kind in TOLD_APART and turn > 0):
            return {"role": "assistant", "content": f"I looked that up {turn}: it is {self.number}."}
        if self.kind == "same texts" or turn > 0:
            return {"role": "assistant", "content": "That is done." if turn else "How can I help you?"}
        id, arguments = f"call_{self.number:020}", '{"city": "Bern"}'
        if self.kind == "own arguments, ids rewritten":
            arguments = json.dumps({"unit": "C", "city": f"City {self.number}"})
        if self.kind == "same ids and arguments":
            id = "call_1"
        function = {"name": "weather", "arguments": arguments}
        return {"role": "assistant", "content": None, "tool_calls": [{"id": id, "type": "function", "function": function}]}

    def go_on(self, said):
        """The client takes an answer into its history, and has its next request."""
        calls = said.get("tool_calls")
        if not calls:
            self.messages += [{"role": "assistant", "content": said["content"]}, {"role": "user", "content": "And then?"}]
            return
        call = calls[0]
        if self.kind == "own arguments, ids rewritten":
            arguments = json.loads(call["function"]["arguments"])
            call["id"] = "call_" + "0" * 23
            call["function"]["arguments"] = json.dumps(dict(sorted(arguments.items())), separators=(",", ":"))
        self.messages += [said, {"role": "tool", "tool_call_id": call["id"], "content": "17"}]


@pytest.fixture
def model():
    """A model that says what its script has for the conversation and the turn that stand in the path; where it listens."""
    talks = [Talk(number) for number in range(CONVERSATIONS)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            number, turn = self.headers["x-script"].split("-")
            message = talks[int(number)].answer(int(turn))
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
            body = {"id": f"{number}-{turn}", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
            data = json.dumps(body).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_of_a_thousand_interleaved_conversations_none_is_taken_for_another(binary, model):
    with Collector() as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_BSP_MAX_QUEUE_SIZE": "50000",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        with Proxy(binary, model, env) as proxy:
            talk_to(proxy.proxy)
            placed = places(collector)
    by_conversation = {}
    for (number, _), place in placed.items():
        by_conversation.setdefault(place["streamgauge.conversation.id"], set()).add(number)
    mixed = {id: numbers for id, numbers in by_conversation.items() if len(numbers) > 1}
    assert not mixed, "requests of several conversations are linked"
    apart = [number for number in range(CONVERSATIONS) if KINDS[number % len(KINDS)] in TOLD_APART]
    torn = {}
    for number in apart:
        turns = [placed[number, turn] for turn in range(ROUNDS)]
        ids = {place["streamgauge.conversation.id"] for place in turns}
        numbers = [place["streamgauge.conversation.turn"] for place in turns]
        if len(ids) > 1 or numbers != [1, 2, 3]:
            torn[number] = [(place["streamgauge.conversation.id"], place["streamgauge.conversation.turn"]) for place in turns]
    assert not torn, "requests that follow another are not linked to it"


def talk_to(address):
    """Each round all of them, in an order of its own, several at a time."""
    shuffled = random.Random(17)
    talks = [Talk(number) for number in range(CONVERSATIONS)]
    own = threading.local()

    def ask(talk, turn):
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(address)
        body = json.dumps({"model": "m", "messages": talk.messages})
        headers = {"content-type": "application/json", "x-script": f"{talk.number}-{turn}", "authorization": "Bearer sk-one"}
        own.connection.request("POST", "/v1/chat/completions", body, headers)
        response = own.connection.getresponse()
        assert response.status == 200
        talk.go_on(json.loads(response.read())["choices"][0]["message"])

    with ThreadPoolExecutor(WORKERS) as workers:
        for turn in range(ROUNDS):
            shuffled.shuffle(talks)
            list(workers.map(lambda talk: ask(talk, turn), talks))


def places(collector):
    """The attributes of each inference span, by conversation and turn."""

    def is_inference(_, attributes):
        return "gen_ai.response.id" in attributes

    # Looking at so many spans takes a while: that is not done at each that comes.
    collector.wait_for_count(2 * CONVERSATIONS * ROUNDS)
    spans = collector.wait_for("all inference spans", is_inference, CONVERSATIONS * ROUNDS)
    of = {}
    for _, attributes in spans:
        number, turn = attributes["gen_ai.response.id"].split("-")
        of[int(number), int(turn)] = attributes
    return of
