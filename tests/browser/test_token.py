"""Where the admin port wants a token, the page asks for it once and keeps it for its tab."""

import pytest
from playwright.sync_api import expect

from processes import Proxy

TOKEN = "0123456789abcdef-of-the-test"


@pytest.fixture
def admin(binary, simulator):
    with Proxy(binary, simulator, {"STREAMGAUGE_ADMIN_TOKEN": TOKEN}) as proxy:
        yield f"http://{proxy.admin}"


def test_the_page_asks_for_the_token_and_keeps_it(open_page, admin):
    view = open_page(admin).go("gauge")
    expect(view("#token")).to_be_visible()
    view("#token-value").fill("another-token-altogether")
    view.press("Enter")
    expect(view("#token [role=alert]")).to_be_visible()
    view("#token-value").fill(TOKEN)
    view.press("Enter")
    expect(view(".config tbody tr").first).to_be_visible()
    expect(view("#token")).to_be_hidden()
    assert TOKEN not in view.page.content()
    view.page.reload()
    expect(view(".config tbody tr").first).to_be_visible()
    # The stream, too, goes with the token.
    view.go("now")
    expect(view("#state")).to_have_text("live")
    expect(view(".command code")).to_contain_text("OPENAI_BASE_URL=http://")


def test_a_page_that_nobody_may_see_says_what_to_set_and_shows_no_empty_view(open_page, demo):
    view = open_page(demo.admin)
    # As from another machine where no token is set.
    view.page.route("**/api/**", lambda route: route.fulfill(status=403, json={"error": {"message": "closed"}}))
    view.go("now")
    expect(view("#notice")).to_contain_text("admin.token")
    expect(view("#notice")).to_contain_text("admin.open")
    expect(view("main")).to_be_hidden()
    view.page.unroute("**/api/**")
    expect(view("main")).to_be_visible()
    expect(view("#notice")).to_be_hidden()
