"""Pages stand alone and are valid; charts are deterministic, readable in both languages, and refuse nonsense."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_core.texts import Bilingual
from practicum_jobs.render.blocks import Cell, Charts, Column, Disclosure, Heading, Paragraph, Section, Table
from practicum_jobs.render.charts import (
    BOTTOM,
    HEIGHT,
    TOP,
    Bar,
    Interval,
    Mark,
    Series,
    bar_chart,
    histogram,
    interval_plot,
    line_chart,
)
from practicum_jobs.render.foreign_text import make_visible
from practicum_jobs.render.page import render_page
from practicum_jobs.render.scale import LogScale, get_decades, get_ticks, thin
from practicum_jobs.render.scatter import Dot, scatter_chart

SVG = "{http://www.w3.org/2000/svg}"
TITLE = Bilingual("A title & more", "标题")
VOID = {"meta", "input", "br", "img"}


def _line(name="one", points=((1, 2.0), (2, 1.0), (3, 0.5)), **options):
    series = [Series(Bilingual("training", "训练"), points), Series("other", points, has_dots=True)]
    return line_chart(name, TITLE, series, x_label="x", y_label="y", **options)


CHARTS = [
    _line(marks=[Mark(2, Bilingual("here", "此处"), "bad")]),
    histogram("two", TITLE, [0, 10, 20], [3, 4], x_label="x", y_label="y", marks=[Mark(25, "limit")]),
    bar_chart("three", TITLE, [Bar("a <b>", 3.0), Bar("c", 0.0, "none", "bad")]),
    interval_plot("four", TITLE, [Interval("a", 0.5, 0.4, 0.6), Interval("b", -0.1)], reference=0),
    scatter_chart("five", TITLE, [Dot("a", 1, 0.0), Dot("b", 9, 8.6e-6), Dot("c", 9, 0.5)], x_label="x", y_label="y"),
]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_a_chart_is_whole_xml_with_a_name_for_those_who_do_not_see_it(chart):
    root = ET.fromstring(chart.__html__())  # noqa: S314 - drawn here
    assert root.attrib["role"] == "img"
    by_id = {element.attrib["id"]: element for element in root.iter() if "id" in element.attrib}
    label, about = (by_id[name] for name in root.attrib["aria-labelledby"].split())
    assert label.tag == f"{SVG}title"
    assert label.text == "A title & more / 标题"
    assert about.tag == f"{SVG}desc"
    assert about.text
    assert all(name.startswith(chart.name) for name in by_id)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_a_chart_as_a_file_stands_alone(chart):
    content = chart.to_file_content()
    root = ET.fromstring(content)  # noqa: S314 - drawn here
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}style") is not None
    assert "url(" not in content


def test_equal_input_gives_equal_bytes():
    assert _line().__html__() == _line().__html__()


def test_a_line_never_bridges_a_missing_value():
    points = [(1, 1.0), (2, 2.0), (3, math.nan), (4, 1.0), (5, 2.0)]
    body = line_chart("gap", TITLE, [Series("a", points)], x_label="x").body
    assert body.count("<polyline") == 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda: line_chart("a", TITLE, [Series("a", [(1, math.nan)])], x_label="x"),
        lambda: histogram("a", TITLE, [0, 1], [1, 2], x_label="x"),
        lambda: bar_chart("a", TITLE, []),
        lambda: bar_chart("a", TITLE, [Bar("a", math.inf)]),
        lambda: interval_plot("a", TITLE, [Interval("a", math.nan)]),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw):
    with pytest.raises(ValueError, match="chart a"):
        draw()


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12))
def test_ticks_span_their_range(low, width):
    ticks = get_ticks(low, low + width)
    assert ticks == sorted(set(ticks))
    assert 2 <= len(ticks) <= 12
    slack = abs(ticks[1] - ticks[0]) * 1e-6 + abs(low) * 1e-9
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + width - slack


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000))
def test_thinning_keeps_order_ends_and_extremes(values):
    points = list(enumerate(values))
    kept = thin(points, limit=100)
    assert kept == sorted(kept)
    assert set(kept) <= set(points)
    assert max(value for _, value in kept) == max(values)
    assert min(value for _, value in kept) == min(values)


@given(st.text())
def test_no_text_puts_forbidden_characters_on_a_page(text):
    shown = make_visible(text)
    shown.encode()
    assert all(
        character.isprintable() or character in "\n\t" or character.isspace() or ord(character) > 0x9F
        for character in shown
    )


class _Balance(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _build_page(*blocks):
    return render_page(TITLE, [Section("first", Bilingual("First", "第一"), list(blocks))])


def test_a_page_is_balanced_bilingual_and_accessible():
    table = Table(TITLE, [Column(TITLE), Column(TITLE, "number")], [["a", Cell("1", note="note")]])
    page = _build_page(
        Heading(TITLE), table, Charts([(chart, TITLE) for chart in CHARTS]), Disclosure("s", [Paragraph("p")])
    )
    parsed = _Balance(page)
    assert parsed.open == []
    tags = [tag for tag, _ in parsed.tags]
    assert [tag for tag in tags if tag in ("h1", "h2", "h3")] == ["h1", "h2", "h3"]
    headers = [attributes for tag, attributes in parsed.tags if tag == "th"]
    assert [header["scope"] for header in headers] == ["col", "col", "row"]
    assert [attributes["lang"] for tag, attributes in parsed.tags if tag == "html"] == ["en"]
    assert 'lang="zh-Hans"' in page
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_two_charts_of_one_name_are_refused():
    with pytest.raises(ValueError, match="one-title"):
        _build_page(Charts([(_line(), None), (_line(), None)]))


def test_a_ragged_table_is_refused():
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table(TITLE, [Column(TITLE), Column(TITLE)], [["a"]])


def test_text_is_escaped_wherever_it_stands():
    evil = "<script>x</script>\"'&"
    table = Table(Bilingual(evil, evil), [Column(Bilingual(evil, evil))], [[evil]])
    chart = bar_chart("bars", Bilingual(evil, evil), [Bar(evil, 1.0, evil)])
    page = _build_page(Paragraph(evil), table, Charts([(chart, Bilingual(evil, evil))]))
    assert [tag for tag, _ in _Balance(page).tags].count("script") == 1


def _read_colours(mode):
    style = _build_page(Paragraph("x")).split("<style>")[1]
    part = style.split(":root{")[2 if mode == "dark" else 1].split("}")[0]
    return dict(pair.split(":", 1) for pair in part.split(";") if pair.startswith("--") and "#" in pair)


def _luminance(colour):
    digits = colour.strip().lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *(
            (ink, ground)
            for ink in ("--ink", "--soft", "--accent", "--good", "--warn", "--bad")
            for ground in ("--card", "--paper")
        ),
        ("--good", "--good-wash"),
        ("--warn", "--warn-wash"),
        ("--bad", "--bad-wash"),
        ("--ink", "--bad-wash"),
        ("--soft", "--bad-wash"),
    ],
)
def test_text_keeps_the_contrast_that_wcag_asks_for(mode, ink, ground):
    """4.5 to 1 for text: WCAG 2.2, success criterion 1.4.3."""
    colours = _read_colours(mode)
    light, dark = sorted((_luminance(colours[ink]), _luminance(colours[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_logarithmic_axis_has_its_decades_at_equal_distances_and_zero_at_its_end():
    decades = get_decades([8.6e-6, 0.5])
    scale = LogScale(decades[0], decades[-1], 300, 0)
    places = [scale(one) for one in decades]
    assert places == pytest.approx([300, 250, 200, 150, 100, 50, 0])
    assert scale(0.0) == 300


def test_labels_of_crowded_points_stand_apart_and_inside_the_frame():
    names = ["nf4", "gptq", "awq", "gguf-q4_k_m"]
    dots = [Dot(name, 110 + place, 0.3 + place / 10) for place, name in enumerate(names)]
    chart = scatter_chart("crowd", TITLE, [*dots, Dot("original", 540, 0.0015)], x_label="MiB", y_label="KL")
    labels = [text for text in ET.fromstring(chart.__html__()).iter(f"{SVG}text") if text.text in names]  # noqa: S314
    places = [(text.attrib.get("text-anchor"), float(text.attrib["y"])) for text in labels]
    assert len(labels) == 4
    for number, (anchor, y) in enumerate(places):
        assert TOP <= y <= HEIGHT - BOTTOM
        assert all(other != anchor or abs(height - y) >= 12 for other, height in places[:number])
