"""The page for blind raters in a real browser: keys, phone, languages, reload, no storage, hostile answers."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from answer_pairs import build_pairs
from practicum_core.blind_files import BlindItem, find_ratings_problem, read_ratings
from practicum_jobs.blind.sheet import Options, build_sheet
from practicum_jobs.render.ballot import render_ballot

SHEET = build_sheet(build_pairs(), Options(6, 1, 1, [], 7), "salt")
KEY_SHA256 = hashlib.sha256(b"key").hexdigest()
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
NO_STORAGE = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no storage'); }});"


@pytest.fixture(scope="module")
def ballot(tmp_path_factory):
    path = tmp_path_factory.mktemp("ballot") / "blind-test.html"
    path.write_text(render_ballot(SHEET.items, KEY_SHA256, SHEET.key.items_sha256), encoding="utf-8")
    return path


def begin(page, label="rater-1"):
    page.fill("#rater", label)
    page.keyboard.press("Enter")
    page.wait_for_selector("#rating:not([hidden])")


def save(page, tmp_path, button="#save"):
    with page.expect_download() as waiting:
        page.click(button)
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_by_keyboard_to_a_file_that_counts(ballot, open_page, tmp_path):
    page = open_page(ballot, locale="en-US")
    begin(page)
    assert page.inner_text("#place") == "Pair 1 of 8"
    for key in ("1", "2", "3", "ArrowLeft", "ArrowRight", "2", "1", "1"):
        page.keyboard.press(key)
    assert page.is_visible("#done")
    path = save(page, tmp_path)
    assert path.name == "ratings-rater-1.json"
    ratings = read_ratings(path)
    assert find_ratings_problem(ratings, SHEET.key, KEY_SHA256) == ""
    given = [str(ratings.answers[item.id]) for item in SHEET.items]
    assert given == ["first", "tie", "second", "first", "second", "tie", "first", "first"]


def test_a_choice_is_changed_by_going_back_and_a_held_key_answers_once(ballot, open_page):
    page = open_page(ballot, locale="en-US")
    begin(page)
    page.keyboard.press("1")
    page.keyboard.press("Backspace")
    assert page.inner_text("#place") == "Pair 1 of 8"
    assert page.get_attribute("[data-choice=first]", "aria-pressed") == "true"
    page.keyboard.down("3")
    page.keyboard.down("3")  # the browser marks the second as a repeat
    page.keyboard.up("3")
    assert page.inner_text("#place") == "Pair 2 of 8"


def test_a_reload_and_another_day_lose_nothing(ballot, open_page):
    page = open_page(ballot, locale="en-US")
    begin(page, "rater-7")
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.reload()
    assert page.input_value("#rater") == "rater-7"
    page.click("#start")
    assert page.inner_text("#place") == "Pair 3 of 8"
    page.reload()
    page.click("#anew")
    assert page.is_visible("#anew-sure")
    page.click("#anew")
    assert page.input_value("#rater") == ""
    assert page.is_hidden("#anew")


def test_without_storage_the_page_says_so_and_a_saved_file_brings_all_back(ballot, open_page, tmp_path):
    page = open_page(ballot, script=NO_STORAGE, locale="en-US")
    assert "does not keep your answers" in page.inner_text("#not-saved")
    begin(page, "rater-2")
    page.keyboard.press("3")
    path = save(page, tmp_path, "#save-part")
    assert "incomplete: 7 of 8" in find_ratings_problem(read_ratings(path), SHEET.key, KEY_SHA256)
    again = open_page(ballot, script=NO_STORAGE, locale="en-US")
    again.set_input_files("#load", path)
    again.wait_for_selector("#anew:not([hidden])")
    again.click("#start")
    assert again.inner_text("#place") == "Pair 2 of 8"
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**json.loads(path.read_text()), "key_sha256": "0" * 64}))
    again.reload()
    again.set_input_files("#load", other)
    again.wait_for_selector("#load-failed:not([hidden])")
    assert again.is_hidden("#anew")


def test_nothing_in_an_answer_runs_and_all_of_it_is_read_as_text(ballot, open_page):
    page = open_page(ballot, locale="en-US")
    begin(page)
    shown = ""
    for _ in SHEET.items:
        shown += page.inner_text("#first") + page.inner_text("#second")
        page.keyboard.press("2")
    assert '<img src=x onerror="window.ran=1">' in shown
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.images.length") == 0


@pytest.mark.parametrize(("locale", "title"), [("en-GB", "Which answer is better?"), ("zh-CN", "哪个回答更好？")])
def test_on_a_phone_in_both_languages_by_touch(ballot, open_page, locale, title):
    page = open_page(ballot, locale=locale, **PHONE)
    assert page.inner_text("h1 >> nth=0") == title
    assert "built-in" not in page.inner_text("body")
    page.fill("#rater", "评分者一")
    page.tap("#start")
    for _ in SHEET.items:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        box = page.locator("[data-choice=second]").bounding_box()
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= PHONE["viewport"]["height"]
        page.tap("[data-choice=second]")
    assert page.is_visible("#done")


def test_long_answers_leave_the_choices_in_reach_on_a_phone(open_page, tmp_path):
    long = "A sentence that goes on. " * 200 + "x" * 600
    items = [BlindItem(id=f"item-{place}", prompt=long, first=long, second="") for place in (1, 2)]
    path = tmp_path / "long.html"
    path.write_text(render_ballot(items, "0" * 64, "0" * 64), encoding="utf-8")
    page = open_page(path, locale="en-US", **PHONE)
    begin(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("[data-choice=second]").bounding_box()
    assert box["y"] + box["height"] <= PHONE["viewport"]["height"]
    assert page.inner_text("#second") == "(empty answer)"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("PageDown")
    deadline = time.monotonic() + 30
    while page.evaluate("scrollY") == 0 and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert page.evaluate("scrollY") > 0
    assert page.inner_text("#place") == "Pair 1 of 2"


def test_the_language_is_switched_in_the_middle(ballot, open_page, tmp_path):
    page = open_page(ballot, locale="en-US")
    begin(page)
    page.click("label[for=lang-zh]")
    assert page.inner_text("#place") == "第 1 对，共 8 对"
    page.keyboard.press("1")
    assert page.inner_text("#place") == "第 2 对，共 8 对"
    assert read_ratings(save(page, tmp_path, "#save-part")).language == "zh"


def test_the_page_publishes_the_seal_and_holds_no_key(ballot):
    text = ballot.read_text(encoding="utf-8")
    assert KEY_SHA256 in text
    for word in ("candidate", "planted", "identical", "Qwen", SHEET.key.items[0].sample):
        assert word not in text
