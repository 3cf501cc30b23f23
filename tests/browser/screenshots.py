"""Makes docs/live-page*.png anew: scripts/screenshots. What is seen is a demo, after it has run for a while."""

import os
import shutil
import sys
from pathlib import Path

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
sys.path.append(str(Path(__file__).parents[1]))

from playwright.sync_api import expect, sync_playwright

from page import Demo
from processes import built, eventually

DOCS = Path(__file__).parents[2] / "docs"
EXCHANGES = 400
"""After so many the charts have something to show."""
BYTES_MAX = 300_000


def pictures(demo):
    """Each picture: its name, theme, width and height, the view, and what is there when it is drawn."""
    exchange = eventually("a stream that stalled", lambda: demo.api.newest("stalls>0 end:done"))[0]["id"]
    conversations = demo.api.get("conversations")["conversations"]
    conversation = max(conversations, key=lambda one: (one["turns"], one["last_at_ms"]))["id"]
    flowing = ".lanes-list .lane[data-state=generating] >> nth=1"
    return {
        "live-page": ("light", 1440, 900, "now?since=2m", flowing),
        "live-page-dark": ("dark", 1440, 900, "now?since=2m", flowing),
        "live-page-latency": ("dark", 1440, 900, "latency?since=2m", ".models .chip >> nth=1"),
        "live-page-exchanges": ("light", 1440, 700, "exchanges", ".long .rows .row >> nth=1"),
        "live-page-exchange": ("light", 1440, 900, f"exchange/{exchange}", ".flag.end"),
        "live-page-conversation": ("dark", 1440, 560, f"conversation/{conversation}", ".step .call >> nth=0"),
        "live-page-gauge": ("light", 1440, 760, "gauge", ".config tbody tr >> nth=1"),
        "live-page-narrow": ("dark", 390, 844, "now?since=2m", flowing),
    }


def main(names):
    with Demo(built()) as demo, sync_playwright() as playwright:
        eventually("enough to show", lambda: demo.api.get("exchanges", limit=1)["total"] >= EXCHANGES)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--font-render-hinting=none"])
        for name, (theme, width, height, place, there) in pictures(demo).items():
            if names and name not in names:
                continue
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
            page.goto(f"{demo.admin}/#/{place}")
            expect(page.locator(there)).to_be_visible()
            # Streams have to be watched for a while before their flow can be drawn.
            page.wait_for_timeout(6000)
            path = DOCS / f"{name}.png"
            page.screenshot(path=path)
            page.close()
            size = path.stat().st_size
            print(f"{path.name}: {size} bytes")
            assert size < BYTES_MAX, f"{path.name} is larger than {BYTES_MAX} bytes"


if __name__ == "__main__":
    main(sys.argv[1:])
