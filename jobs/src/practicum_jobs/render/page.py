"""Rendering of sections to one self-contained HTML file, with styles, charts and the language switch inline.

Text from data is escaped, and control and bidi characters are made visible. The page's content security policy
forbids all requests and all scripts except the language switch.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Section
from practicum_jobs.render.charts import Tone
from practicum_jobs.render.foreign_text import make_visible

__all__ = ["Bilingual", "Stamp", "get_environment", "hash_script", "render_page"]

_ID = re.compile(r'\sid="([^"]*)"')


@dataclass(frozen=True)
class Stamp:
    """The verdict at the top of the page."""

    text: Bilingual
    tone: Tone
    detail: Text = ""


def render_page(
    title: Bilingual,
    sections: Sequence[Section],
    *,
    eyebrow: Text = "Practicum",
    lead: Bilingual | None = None,
    stamp: Stamp | None = None,
    footer: Text = "",
) -> str:
    """Render one self-contained HTML page in English and Chinese.

    Args:
        title: Heading of the page.
        sections: The sections; they are numbered from 1 in this order and listed in the contents.
        eyebrow: The line above the heading, which names the kind of page.
        lead: One or two sentences under the heading.
        stamp: The verdict.
        footer: The last line, such as the run id.

    Raises:
        ValueError: Two elements have the same id (two sections the same slug, or two charts the same name).
    """
    environment = get_environment()
    script = environment.get_template("language.js").render()
    page = environment.get_template("page.html").render(
        title=title,
        sections=sections,
        eyebrow=eyebrow,
        lead=lead,
        stamp=stamp,
        footer=footer,
        script=Markup(script),  # noqa: S704 - a file of this package
        script_digest=hash_script(script),
        style=Markup(_read_style(environment)),  # noqa: S704 - files of this package
    )
    _refuse_shared_ids(page)
    return page


def hash_script(script: str) -> str:
    """Return the hash by which a content security policy allows an inline script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _read_style(environment: jinja2.Environment) -> str:
    return "".join(environment.get_template(name).render() for name in ("page.css", "charts.css"))


def _refuse_shared_ids(page: str) -> None:
    shared = sorted(name for name, count in Counter(_ID.findall(page)).items() if count > 1)
    if shared:
        raise ValueError(f"two elements of the page have the same id: {', '.join(shared)}")


@functools.cache
def get_environment() -> jinja2.Environment:
    """Return the environment of the templates of this package, which escapes every value."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("practicum_jobs.render", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


def _finalize(value: object) -> object:
    """Render a bilingual text as two spans, and make every other text visible; called on each template value."""
    if isinstance(value, Bilingual):
        return Markup('<span class="en" lang="en">{}</span><span class="zh" lang="zh-Hans">{}</span>').format(
            make_visible(value.en), make_visible(value.zh)
        )
    if isinstance(value, Markup) or hasattr(value, "__html__"):
        return value
    return make_visible(value) if isinstance(value, str) else value
