"""A hook of mkdocs: the language switch in the header of a page leads to the same page in the other language."""

from __future__ import annotations

from typing import Protocol


class Settings(Protocol):
    """What is read of mkdocs' settings."""

    extra: dict[str, list[dict[str, str]]]


class Page(Protocol):
    """What is read of a page."""

    url: str


def on_page_context(context: dict[str, object], *, page: Page, config: Settings, **_: object) -> dict[str, object]:
    """Point the links of the switch, which the theme reads from the settings, to the page that is written next."""
    for language in config.extra["alternate"]:
        language["link"] = f"../{language['lang']}/{page.url}"
    return context
