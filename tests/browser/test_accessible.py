"""axe-core finds nothing serious in any view, in both themes, wide and narrow."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from page import Demo
from processes import eventually

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module")
def places(demo: Demo):
    """Every view, and states of them, each with what it shows when it is there."""
    exchange = eventually("a whole stream", lambda: demo.api.newest("end:done stream:true has:ttft"))[0]["id"]
    failed = eventually("a failed exchange", lambda: demo.api.newest("has:error"))[0]["id"]
    conversation = eventually("a conversation", lambda: demo.api.get("conversations")["conversations"])[0]["id"]
    return {
        "now": ".lanes-list .lane",
        "latency": ".models .chip:nth-child(2)",
        "exchanges": ".long .rows .row",
        "exchanges?q=nosuch:1": ".wrong mark",
        "exchanges?q=model:nosuch": ".empty",
        f"exchange/{exchange}": ".flag.end",
        f"exchange/{failed}": ".flag.end",
        "exchange/999999999": ".empty",
        "conversations": ".roomy tbody tr",
        f"conversation/{conversation}": ".step .call",
        "gauge": ".config tbody tr",
    }


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 360)])
def test_nothing_serious_is_found(open_page, demo, places, theme, width):
    view = open_page(demo.admin, theme=theme, width=width)
    found = []
    for place, there in places.items():
        view.go(place)
        expect(view(there).first).to_be_visible()
        found += [(place, *one) for one in violations(view.page)]
        wider = view.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, f"{place} is {wider} pixels wider than the window"
    view.press("?")
    found += [("keys", *one) for one in violations(view.page)]
    assert found == []


def violations(page):
    """What axe finds that is serious or worse."""
    page.evaluate(AXE.read_text())
    results = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [one for one in results["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], node["html"][:200]) for one in serious for node in one["nodes"]]
