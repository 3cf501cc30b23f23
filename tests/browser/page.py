"""The demo, and its page as a reader has it."""

import json
import re
import urllib.request
from urllib.parse import quote, urlencode

from playwright.sync_api import expect

from processes import DEADLINE, Process

expect.set_options(timeout=DEADLINE * 1000)


class Api:
    """The admin API, for comparison."""

    def __init__(self, admin, token=None):
        self._admin = admin
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def get(self, path, **params):
        url = f"{self._admin}/api/{path}?{urlencode(params)}"
        with urllib.request.urlopen(urllib.request.Request(url, headers=self._headers), timeout=DEADLINE) as response:
            return json.load(response)

    def newest(self, q="", limit=1):
        """The newest exchanges that match, once there are so many."""
        return self.get("exchanges", q=q, limit=limit)["exchanges"]


class Demo(Process):
    """`streamgauge demo` on free ports."""

    def __init__(self, binary):
        super().__init__([binary, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        try:
            self.admin = self.first("its page", lambda line: re.search(r"live page +(http://\S+)/$", line)).group(1)
            self.base_url = self.first("its proxy", lambda line: re.search(r"proxy +(http://\S+)$", line)).group(1)
        except BaseException:
            self.__exit__()
            raise
        self.api = Api(self.admin)


LEAD = """(hash) => new Promise((done) => {
  addEventListener("hashchange", () => done(), { once: true });
  const before = location.href;
  location.hash = hash;
  if (location.href === before) done();
})"""
"""Goes to another place of the page, as a link does. The page's own listener comes first, so its view is another when this is done."""


class View:
    """A page that shows views of an admin port."""

    def __init__(self, page, admin):
        self.page = page
        self.admin = admin

    def __call__(self, selector, **options):
        return self.page.locator(selector, **options)

    def go(self, place):
        """Shows a view, `exchanges?q=…` for instance. Nothing of another view is there any more when this returns."""
        if self.page.url.startswith(self.admin):
            self.page.evaluate(LEAD, f"#/{place}")
        else:
            self.page.goto(f"{self.admin}/#/{place}")
        return self

    def query(self, q):
        """Shows the exchanges that match, and returns their rows."""
        self.go(f"exchanges?q={quote(q)}")
        rows = self(".long .rows .row:visible")
        expect(rows.first).to_be_visible()
        return rows

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def facts(self):
        """What stands in lists of facts, by name."""
        pairs = self(".facts > div").all()
        return {pair.locator("dt").inner_text(): pair.locator("dd").inner_text() for pair in pairs}


def cells(row):
    """The cells of a row, by their column."""
    names = row.evaluate("row => [...row.querySelectorAll('.c')].map((cell) => [cell.classList[1], cell.textContent])")
    return dict(names)


def id_of(row):
    """The id of the exchange that a row shows."""
    return int(row.locator(".time a").get_attribute("href").rsplit("/", 1)[1])


def count(number):
    """A number as the page writes it; `None` is nothing."""
    return "" if number is None else f"{number:,}"
