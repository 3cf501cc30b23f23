"""The demo, a browser, and a page that has to be without errors at the end."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from page import Demo, View
from processes import DEADLINE

EXPECTED = "Failed to load resource"
"""What the browser itself writes of an answer that is no success; tests look at the page for that."""


@pytest.fixture(scope="session")
def demo(binary):
    """A demo that runs for as long as the tests do."""
    with Demo(binary) as demo:
        yield demo


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium."""
    # Its sandbox does not run as root.
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])


@pytest.fixture
def open_page(browser):
    """Opens pages of an admin port: `open_page(url, theme="dark", width=1280)`. Each is without errors in the end."""
    contexts, errors = [], []

    def open_(admin, theme="light", width=1280, height=800):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        context.set_default_timeout(DEADLINE * 1000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("dialog", lambda dialog: errors.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: None if request.url.startswith((admin, "data:")) else errors.append(f"a request to {request.url}"))
        return View(page, admin)

    yield open_
    for context in contexts:
        context.close()
    assert [error for error in errors if EXPECTED not in error] == []


@pytest.fixture
def view(open_page, demo):
    """The demo's page."""
    return open_page(demo.admin)
