"""The documentation as a website, in a real browser: both languages, search, no request to elsewhere."""

from __future__ import annotations

import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANDBOOK = sorted(path.stem for path in (ROOT / "docs/handbook/en").glob("*.md"))


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Requests are not logged."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build both sites, serve them on a loopback port, and return its address."""
    folder = tmp_path_factory.mktemp("site")
    python = subprocess.run([ROOT / "tools/ensure-env.sh", "site"], check=True, capture_output=True, text=True)
    command = [f"{python.stdout.strip()}/bin/python", ROOT / "tools/build_site.py", folder]
    subprocess.run(command, check=True, timeout=120)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(chromium, site):
    """Open a page whose faults and requests to elsewhere fail the test."""
    context = chromium.new_context()
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(site) else faults.append(request.url))
    # The theme looks for a map of the pages beside each page of the other language; there is one for a whole site.
    expected = ("sitemap.xml",)
    page.on(
        "response", lambda got: faults.append(got.url) if got.status >= 400 and not got.url.endswith(expected) else None
    )
    yield page
    context.close()
    assert not faults


@pytest.mark.parametrize(
    ("language", "words", "found"), [("en", "degradation ladder", "week-08"), ("zh", "降级阶梯", "week-08")]
)
def test_the_search_finds_a_page_of_the_handbook(page, site, language, words, found):
    page.goto(f"{site}/{language}/index.html")
    page.keyboard.press("f")
    page.keyboard.type(words)
    page.wait_for_selector(f".md-search-result__link[href*='handbook/{found}']")


def test_the_first_page_leads_to_every_page_of_the_handbook_and_each_to_the_other_language(page, site):
    page.goto(site)
    page.click("a[lang=zh]")
    for name in HANDBOOK:
        page.goto(f"{site}/zh/handbook/{name}.html")
        chinese = page.inner_text("h1")
        page.evaluate("document.querySelector('a.md-select__link[hreflang=en]').click()")
        page.wait_for_url(f"{site}/en/handbook/{name}.html")
        assert page.inner_text("h1") != chinese
