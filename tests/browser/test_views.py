"""What the page shows while a demo runs, against what the API says."""

import json
import re
import threading
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from page import cells, count, id_of
from processes import DEADLINE, Proxy, eventually
from upstream import Upstream


def stream(base_url, model, question="How high is the river?"):
    """Begins a stream in a thread of its own, and reads it to the end."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})

    def read():
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            response.read()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def test_a_query_shows_what_the_api_finds_and_the_url_keeps_it(view, demo):
    eventually("an error in the demo", lambda: demo.api.newest("status:429"))
    rows = view.query("status:429")
    # Others may come on top of it.
    number = id_of(rows.first)
    shown = cells(view(f"#row-{number}"))
    row = demo.api.get(f"exchanges/{number}")["exchange"]
    assert (shown["status"], shown["model"], shown["upstream"]) == ("429", row["model"], row["upstream"])
    assert row["error"] in shown["end"]
    view.page.reload()
    expect(view(".query input")).to_have_value("status:429")
    expect(rows.first.locator(".status")).to_have_text("429")


def test_typing_filters_and_a_mistake_is_shown_where_it_is(view, demo):
    eventually("two models", lambda: demo.api.newest("model:sim-fast") and demo.api.newest("-model:sim-fast"))
    view.go("exchanges")
    expect(view(".long .rows .row:visible").first).to_be_visible()
    view.press("/")
    view.page.keyboard.type("model:sim-fast ttft>=0s")
    view.press("Enter")
    expect(view.page).to_have_url(f"{view.admin}/#/exchanges?q=model%3Asim-fast+ttft%3E%3D0s")
    models = view(".long .rows .row:visible .model")
    eventually("only that model", lambda: set(models.all_inner_texts()) == {"sim-fast"})
    view.page.keyboard.type(" nosuch:1")
    view.press("Enter")
    expect(view(".wrong mark")).to_have_text("nosuch:1")
    expect(view(".wrong")).to_contain_text("expected a field")
    expect(view(".query input")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("model", ["sim-chat", "sim-reasoning", "sim-tools", "sim-no-usage"])
def test_a_row_opens_its_exchange_with_the_facts_of_the_api(view, demo, model):
    q = f"model:{model} end:done stream:true has:ttft"
    eventually("a whole stream", lambda: demo.api.newest(q))
    rows = view.query(q)
    view.press("j")
    active = view(f"#{view('.long').get_attribute('aria-activedescendant')}")
    number = id_of(active)
    view.press("Enter")
    expect(view.page).to_have_url(f"{view.admin}/#/exchange/{number}")
    found = demo.api.get(f"exchanges/{number}")
    row = found["exchange"]
    expect(view("h1")).to_contain_text(row["model"])
    expect(view(".flag.first_token")).to_contain_text("first token")
    facts = view.facts()
    assert row["tokens_estimated"] == (model == "sim-no-usage")
    mark = " estimated" if row["tokens_estimated"] else ""
    assert facts["Input tokens"] == count(row["input_tokens"]) + mark and facts["Output tokens"] == count(row["output_tokens"]) + mark
    assert facts["Chunks"] == count(row["chunks"]) and facts["Requested model"] == row["model"]
    exported = {item["name"]: item["value"] for span in found["spans"] for item in span["attributes"]}
    shown = dict(view(".attributes tr").evaluate_all("rows => rows.map((row) => [row.cells[0].textContent, row.cells[1].textContent])"))
    assert shown.keys() == exported.keys()
    for name, value in exported.items():
        assert (shown[name] if isinstance(value, str) else json.loads(shown[name])) == value, name
    assert view(".code").inner_text() == found["curl"]
    view.press("Escape")
    expect(rows.first).to_be_visible()


def test_marks_of_an_exchange_stand_in_order_and_to_scale(view, demo):
    row = eventually("a slow stream", lambda: demo.api.newest("end:done stream:true ttft>100ms"))[0]
    view.go(f"exchange/{row['id']}")
    expect(view(".flag.end")).to_be_visible()
    marks = {mark["name"]: mark["at_ms"] for mark in demo.api.get(f"exchanges/{row['id']}")["timeline"]["marks"]}
    box = view(".timeline .flags").bounding_box()
    for name in ["sent", "first_token", "last_token", "end"]:
        x = view(f".flag.{name}").bounding_box()["x"] - box["x"]
        assert abs(x / box["width"] - marks[name] / marks["end"]) < 0.005, name


def test_the_bar_of_streamgauge_ends_where_an_attempt_begins(view, demo):
    # So long that the share is small on the slowest machine, too.
    row = eventually("a long stream", lambda: demo.api.newest("end:done stream:true ttft>100ms duration>3s"))[0]
    found = demo.api.get(f"exchanges/{row['id']}")
    marks = {mark["name"]: mark["at_ms"] for mark in found["timeline"]["marks"]}
    issued = found["attempts"][0]["issued_ms"]
    view.go(f"exchange/{row['id']}")
    view("[aria-label=Scale] button", has_text="streamgauge's share").click()
    lane = view(".tracks .bars-of").first.bounding_box()
    ours, connect = (view(f".seg.{kind}").bounding_box() for kind in ["ours", "connect"])
    scale = lane["width"] / max(0.02, marks["sent"] * 1.6)
    assert abs(ours["width"] - (issued - marks["request_end"]) * scale) < 3
    assert abs(connect["width"] - (marks["sent"] - issued) * scale) < 3


def test_a_conversation_shows_its_turns_and_waits_for_tools(view, demo):
    def with_tools():
        return next((one for one in demo.api.get("conversations")["conversations"] if one["turns"] > 1 and one["tool_calls"]), None)

    known = eventually("a conversation with tools", with_tools)
    view.go("conversations")
    view(f'a[href="#/conversation/{known["id"]}"]').click()
    found = demo.api.get(f"conversations/{known['id']}")
    expect(view(".waterfall .step:not(.labels)")).to_have_count(len(found["turns"]))
    waits = [wait["name"] for turn in found["turns"] for wait in turn["tool_waits"]]
    assert waits and view(".waterfall .seg.tool").all_text_contents() == waits
    assert view.facts()["Input tokens"] == count(found["totals"]["input_tokens"])
    view(".waterfall .which a").last.click()
    expect(view.page).to_have_url(f"{view.admin}/#/exchange/{found['turns'][-1]['exchange']['id']}")


def test_keys_and_a_click_lead_from_a_row_to_its_conversation(view, demo):
    eventually("two conversations", lambda: len(demo.api.get("conversations")["conversations"]) > 1)
    view.go("conversations")
    rows = view(".conversations tbody tr")
    expect(rows.nth(1)).to_be_visible()
    view.press("j")
    place = view("tbody a:focus").get_attribute("href")
    view.press("Enter")
    expect(view.page).to_have_url(f"{view.admin}/{place}")
    # The URL is another before the page hears of it; until then keys are those of the view that is left.
    expect(view(".view.conversation h1")).to_be_visible()
    view.press("Escape")
    expect(rows.nth(1)).to_be_visible()
    rows.nth(1).locator("td.n").first.click()
    expect(view(".view.conversation .waterfall")).to_be_visible()


def test_keys_lead_from_a_row_of_now_to_its_exchange(view, demo):
    eventually("exchanges", lambda: demo.api.newest(limit=3))
    view.go("now")
    expect(view(".newest .row:not(.head)").nth(1)).to_be_visible()
    view.press("j", "j", "k")
    place = view(".newest a:focus").get_attribute("href")
    view.press("Enter")
    expect(view.page).to_have_url(f"{view.admin}/{place}")


@pytest.mark.parametrize(
    ("place", "row"),
    [("now", ".newest .row:not(.head)"), ("exchanges", ".long .rows .row:visible"), ("conversations", ".conversations tbody tr")],
)
def test_a_row_stays_under_a_pointer_that_is_pressed_until_it_is_released(view, demo, place, row):
    eventually("some conversations", lambda: len(demo.api.get("conversations")["conversations"]) > 3)
    view.go(place)
    expect(view(row).nth(2)).to_be_visible()
    for above in view(".in-flight").all():
        above.evaluate("above => { above.style.blockSize = '420px'; }")
    box = view(row).nth(2).bounding_box()
    view.page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    view.page.mouse.down()
    pressed = view(f"{row}:active a").first.get_attribute("href")
    # More than one look of each view, and more rows than Now has.
    before = demo.api.newest()[0]["id"]
    eventually("further exchanges", lambda: demo.api.newest()[0]["id"] > before + 30)
    view.page.mouse.up()
    expect(view.page).to_have_url(f"{view.admin}/{pressed}")


@pytest.mark.parametrize("width", [390, 768, 1100, 1280, 1440])
def test_rows_of_now_end_within_their_table(open_page, demo, width):
    eventually("an exchange", lambda: demo.api.newest())
    view = open_page(demo.admin, width=width).go("now")
    rows = view(".newest .row:not(.head)")
    expect(rows.first).to_be_visible()
    # Of one instant: what stands above grows as streams come.
    boxes = rows.evaluate_all("rows => rows.map((row) => [row, row.querySelector('.end')].map((one) => one.getBoundingClientRect().toJSON()))")
    for outer, end in boxes:
        assert end["right"] <= outer["right"] and end["bottom"] <= outer["bottom"]


def test_a_stream_is_followed_while_it_flows_and_then_among_those_that_ended(open_page, binary):
    seen = threading.Event()

    def flow(call, _):
        """Goes on until all was seen."""
        call.begin(200, "text/event-stream")
        while not seen.wait(0.1):
            call.piece(b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"on "}}]}\n\n')
        call.piece(b"data: [DONE]\n\n")
        call.piece(b"")

    with Upstream(flow) as upstream, Proxy(binary, upstream.url) as proxy:
        view = open_page(f"http://{proxy.admin}").go("now")
        reader = stream(proxy.base_url, "flows-on")
        lane = view(".lanes-list .lane", has_text="flows-on")
        expect(lane).to_have_attribute("data-state", "generating")
        chunks = lane.locator(".n").nth(1)
        first = int(chunks.inner_text())
        eventually("more chunks", lambda: int(chunks.inner_text()) > first)
        seen.set()
        reader.join(DEADLINE)
        expect(lane).to_have_count(0)
        expect(view('.newest a[href="#/exchange/1"]')).to_be_visible()


def test_figures_are_those_of_the_summary(view, demo):
    eventually("some traffic", lambda: demo.api.get("summary")["today"]["requests"] > 3)
    # The page gets one answer for as long as it is looked at, so that both tell of the same instant.
    answer = demo.api.get("summary", since="2m", step="2s")
    view.page.route("**/api/summary?*", lambda route: route.fulfill(json=answer))
    view.go("now?since=2m")
    today = f"{count(answer['today']['requests'])} today"
    note = view(".figure", has_text="Requests").locator(".note")
    expect(note).to_have_text(today)
    requests, errors = (sum(step[of] for step in answer["steps"]) for of in ["requests", "errors"])
    expect(view(".figure", has_text="Errors").locator(".note")).to_have_text(f"{count(errors)} of {count(requests)} in 2 min")
    view.page.unroute("**/api/summary?*")
    # It asks again.
    expect(note).not_to_have_text(today)


def test_latency_shows_percentiles_and_a_model_alone(view, demo):
    eventually("a first token", lambda: demo.api.newest("model:sim-chat has:ttft"))
    view.go("latency")
    expect(view(".heatmap").first.locator(".p50 b")).not_to_have_text("–")
    view(".models .chip", has_text="sim-chat").click()
    expect(view.page).to_have_url(f"{view.admin}/#/latency?q=model%3Asim-chat")
    canvas = view("canvas.heat").first
    canvas.focus()
    view.press("ArrowLeft")
    expect(view(".heatmap .readout").first).to_contain_text("p50")


def test_a_cell_of_a_heat_map_shows_the_exchanges_of_its_step(view, demo):
    eventually("a duration", lambda: demo.api.newest("has:duration"))
    view.go("latency?since=2m")
    expect(view(".heatmap").last.locator(".p50 b")).not_to_have_text("–")
    view("canvas.heat").last.click()
    expect(view(".view.exchanges")).to_be_visible()
    q = parse_qs(urlsplit(urlsplit(view.page.url).fragment).query)["q"][0]
    began, over = (int(re.search(pattern, q).group(1)) for pattern in [r"ended>=(\d+)", r"ended<(\d+)"])
    assert over - began == 2000 and "duration<=" in q
    expect(view(".under .beside")).to_contain_text("match")
    expect(view(".wrong")).to_be_hidden()


def test_the_gauge_shows_version_configuration_and_upstreams(view, demo):
    view.go("gauge")
    found = demo.api.get("gauge")
    expect(view(".totals")).to_contain_text(found["version"])
    for upstream in found["upstreams"]:
        expect(view("[aria-label=Upstreams]")).to_contain_text(upstream["name"])
    expect(view(".config tbody tr")).to_have_count(len(found["config"]))
    view("[aria-label='Filter the configuration']").fill("telemetry.")
    wanted = [entry["key"] for entry in found["config"] if "telemetry." in f"{entry['key']} {entry['value']} {entry['source']}".lower()]
    assert view(".config tbody th").all_inner_texts() == wanted


@pytest.mark.parametrize("region", ["Upstreams", "Exporters"])
def test_a_table_of_the_gauge_keeps_the_focus_while_its_numbers_change(view, region):
    view.go("gauge")
    view(f"[aria-label={region}]").focus()
    # The second is asked for when the first is drawn.
    for _ in range(2):
        view.page.wait_for_event("response", lambda response: response.url.endswith("/api/gauge"))
    expect(view(f"[aria-label={region}]")).to_be_focused()


def test_the_theme_is_switched_and_kept(view):
    view.go("now")
    html = view("html")
    expect(html).to_have_attribute("data-theme", "light")
    view.press("t", "t")
    expect(html).to_have_attribute("data-theme", "dark")
    view.page.reload()
    expect(html).to_have_attribute("data-theme", "dark")
    expect(view("body")).to_have_css("background-color", "rgb(10, 17, 21)")


def test_keys_are_told_and_lead_to_the_views(view):
    view.go("now")
    view.press("?")
    expect(view("#keys")).to_be_visible()
    view.press("Escape")
    expect(view("#keys")).to_be_hidden()
    for key, name in [("2", "latency"), ("3", "exchanges"), ("4", "conversations"), ("5", "gauge"), ("1", "now")]:
        view.press(key)
        expect(view(f".view.{name}")).to_be_visible()
        expect(view(".tabs a[aria-current=page]")).to_have_text(name.capitalize())


def test_a_paused_page_asks_for_nothing(view):
    # The page's clock is ours: what it has planned comes when that goes on.
    view.page.clock.install()
    view.go("latency")
    expect(view("#state")).to_have_text("live")
    view.press("p")
    expect(view("#state")).to_have_text("paused")
    # What was asked for just before the pause is not meant.
    asked = []
    view.page.on("request", lambda request: asked.append(request.url))
    view.page.clock.run_for(60_000)
    assert asked == []
    view.press("p")
    expect(view("#state")).to_have_text("live")
    view.page.clock.run_for(60_000)
    assert any("/api/summary" in url for url in asked)


def test_a_view_that_asks_no_more_is_live_again_after_a_pause(view, demo):
    row = eventually("an exchange", lambda: demo.api.newest())[0]
    view.go(f"exchange/{row['id']}")
    expect(view("#state")).to_have_text("live")
    view.press("p")
    expect(view("#state")).to_have_text("paused")
    view.press("p")
    expect(view("#state")).to_have_text("live")
