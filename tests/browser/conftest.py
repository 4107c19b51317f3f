"""A real Chromium for pages that people use.

It is Debian's, or the one that ``PRACTICUM_CHROMIUM`` names. Without one these tests are skipped by name;
``PRACTICUM_REQUIRE=browser`` turns such a skip into a failure.
"""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from lacks import skip_lacking


def find_chromium():
    """Return the path of Chromium, or skip the test."""
    named = os.environ.get("PRACTICUM_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        skip_lacking("Chromium (Debian's package chromium, or PRACTICUM_CHROMIUM)", "browser")
    return found


@pytest.fixture(scope="module")
def chromium():
    """Start the browser once a module. While it is open its event loop runs, and no other test can have one."""
    path = find_chromium()
    with sync_playwright() as playwright:
        # Its sandbox needs user namespaces, which root in a container often lacks; the pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Return a function that opens a file in a new profile; a fault of a script, or a request, fails the test."""
    contexts, faults = [], []

    def call(path, *, script="", **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "blob:")) else faults.append(request.url),
        )
        if script:
            page.add_init_script(script)
        page.goto(path.as_uri())
        return page

    yield call
    for context in contexts:
        context.close()
    assert faults == []
