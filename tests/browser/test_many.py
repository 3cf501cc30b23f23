"""Many exchanges: the table keeps few rows in the document, wherever it is."""

import http.client
import json
import threading
from urllib.parse import urlsplit

from playwright.sync_api import expect

from page import Api
from processes import Proxy, eventually

MANY = 5000
CLIENTS = 8


def call(base_url, times):
    client = http.client.HTTPConnection(*urlsplit(base_url).netloc.split(":"))
    body = json.dumps({"model": "sim-embed", "input": "river"})
    for _ in range(times):
        client.request("POST", "/v1/embeddings", body, {"content-type": "application/json"})
        client.getresponse().read()
    client.close()


def test_five_thousand_rows_are_scrolled_with_few_in_the_document(open_page, binary, simulator):
    with Proxy(binary, simulator) as proxy:
        clients = [threading.Thread(target=call, args=(proxy.base_url, MANY // CLIENTS)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        api = Api(f"http://{proxy.admin}")
        eventually("all of them", lambda: api.get("exchanges", limit=1)["kept"] == MANY)
        view = open_page(f"http://{proxy.admin}")
        view.go("exchanges")
        table, rows = view(".long"), view(".long .rows .row")
        expect(rows.first).to_be_visible()
        most = 0

        def all_there():
            # Further pages come as the end of those before comes near.
            nonlocal most
            table.evaluate("table => { table.scrollTop = table.scrollHeight; }")
            most = max(most, rows.count())
            return view(".under").inner_text().startswith("5,000 ")

        eventually("all rows", all_there)
        expect(view(".under")).to_contain_text("5,000 exchanges")
        expect(table).to_have_attribute("aria-rowcount", str(MANY + 1))
        table.focus()
        view.press("End")
        expect(view('.row[aria-selected="true"] .time a')).to_have_attribute("href", "#/exchange/1")
        view.press("Home")
        expect(view('.row[aria-selected="true"] .time a')).to_have_attribute("href", f"#/exchange/{MANY}")
        assert 0 < max(most, rows.count()) < 100
