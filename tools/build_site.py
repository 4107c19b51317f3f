"""The documentation as a website: one site per language, from the Markdown files of this repository.

Each site holds the handbook, the guides, the reference, the benchmarks and the decisions; a page that exists in
English only stands in both. Links between files become links between pages; a link to a file that is no page, such as
the licence, becomes plain text. The pages load nothing from elsewhere; the search needs a server, such as
``python3 -m http.server --directory FOLDER``.

Usage: build_site.py FOLDER
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
GUIDES = ("evaluation", "serving", "load-testing", "availability", "debugging", "operations")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_SWITCH = re.compile(r"^\[(English|简体中文|中文)\]\([^)]*\)(\n+| *[·・] *)", re.MULTILINE)
"""What leads to the same page in the other language: the header of the site has that link."""


@dataclass(frozen=True)
class Language:
    """What differs between the sites."""

    code: str
    name: str
    suffix: str
    sections: Mapping[str, str]


LANGUAGES = (
    Language(
        "en",
        "English",
        "",
        {
            "home": "Practicum",
            "handbook": "Handbook",
            "guides": "Guides",
            "reference": "Reference",
            "decisions": "Decisions",
            "project": "Project",
        },
    ),
    Language(
        "zh",
        "简体中文",
        ".zh-CN",
        {
            "home": "Practicum",
            "handbook": "课程手册",
            "guides": "使用指南",
            "reference": "参考",
            "decisions": "设计决策（英文）",
            "project": "项目",
        },
    ),
)


def list_pages(language: Language) -> dict[str, dict[str, str]]:
    """Return the pages of a site by section: the file's path in the repository and its path in the site."""
    handbook = sorted((ROOT / "docs/handbook" / language.code).glob("*.md"), key=lambda path: _order(path.stem))
    return {
        "home": {_translate("README", language): "index.md"},
        "handbook": {_name(path): f"handbook/{path.name}" for path in handbook},
        "guides": {_translate(f"docs/{name}", language): f"guides/{name}.md" for name in GUIDES},
        "reference": {_name(path): f"reference/{path.name}" for path in sorted((ROOT / "docs/reference").glob("*.md"))},
        "decisions": {_name(path): f"decisions/{path.name}" for path in sorted((ROOT / "docs/decisions").glob("*.md"))},
        "project": {
            "docs/benchmarks.md": "project/benchmarks.md",
            "CONTRIBUTING.md": "project/contributing.md",
            "CHANGELOG.md": "project/changelog.md",
            "charts/practicum/README.md": "project/chart.md",
            "images/README.md": "project/images.md",
        },
    }


def rewrite_links(text: str, source: str, pages: Mapping[str, str]) -> str:
    """Return a page's text with links that lead to pages of the site.

    Args:
        text: Markdown.
        source: Path of its file in the repository.
        pages: Path in the site of each file that is a page.

    >>> pages = {"README.md": "index.md", "docs/serving.md": "guides/serving.md"}
    >>> rewrite_links("see [serving](docs/serving.md#adapters) and [Licence](LICENSE)", "README.md", pages)
    'see [serving](guides/serving.md#adapters) and Licence'
    >>> rewrite_links("[back](../README.md), [above](#top), [out](https://a.b/c)", "docs/serving.md", pages)
    '[back](../index.md), [above](#top), [out](https://a.b/c)'
    """

    def replace(found: re.Match[str]) -> str:
        label, target = found[1], found[2]
        path, mark, anchor = target.partition("#")
        if not path or ":" in path:
            return found[0]
        page = pages.get(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if page is None:
            return label
        return f"[{label}]({posixpath.relpath(page, posixpath.dirname(pages[source]) or '.')}{mark}{anchor})"

    return _LINK.sub(replace, text)


def build_settings(language: Language, sections: Mapping[str, Mapping[str, str]], source: Path, out: Path) -> object:
    """Return the content of ``mkdocs.yml``."""
    return {
        "site_name": "Practicum",
        "docs_dir": str(source),
        "site_dir": str(out),
        "use_directory_urls": False,
        "theme": {
            "name": "material",
            "language": language.code,
            "font": False,
            "features": ["navigation.indexes", "navigation.top", "search.highlight", "content.code.copy"],
            "palette": [
                {"media": "(prefers-color-scheme: light)", "scheme": "default", "primary": "indigo"},
                {"media": "(prefers-color-scheme: dark)", "scheme": "slate", "primary": "indigo"},
            ],
        },
        "plugins": [{"search": {"lang": [language.code]}}],
        "markdown_extensions": [
            "tables",
            "attr_list",
            {"toc": {"permalink": True, "slugify": _SLUGS}},
            {"pymdownx.highlight": {"use_pygments": True}},
            "pymdownx.superfences",
        ],
        "extra": {
            "generator": False,
            "alternate": [{"name": one.name, "link": "", "lang": one.code} for one in LANGUAGES],
        },
        "hooks": [str(ROOT / "tools/site_hooks.py")],
        "validation": {"links": {"anchors": "warn", "not_found": "warn", "unrecognized_links": "warn"}},
        "nav": list(_build_nav(language, sections)),
    }


def build_site(language: Language, folder: Path) -> None:
    """Build the site of one language.

    Raises:
        SystemExit: A link leads nowhere; the message names it.
    """
    sections = list_pages(language)
    pages = {source: page for members in sections.values() for source, page in members.items()}
    with tempfile.TemporaryDirectory() as work:
        docs = Path(work) / "docs"
        for source, page in pages.items():
            path = docs / page
            path.parent.mkdir(parents=True, exist_ok=True)
            text = _SWITCH.sub("", (ROOT / source).read_text(encoding="utf-8"))
            path.write_text(rewrite_links(text, source, pages), encoding="utf-8")
        settings = Path(work) / "mkdocs.yml"
        document = yaml.dump(build_settings(language, sections, docs, folder), allow_unicode=True)
        settings.write_text(document.replace(f"'{_SLUGS}'", _SLUGS).replace(f'"{_SLUGS}"', _SLUGS), encoding="utf-8")
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(settings)]
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=quiet)
        if done.returncode:
            raise SystemExit(f"the site in {language.name} was not built:\n{done.stderr}")


_SLUGS = "!!python/object/apply:pymdownx.slugs.slugify {kwds: {case: lower}}"
"""Anchors as GitHub makes them, Chinese ones included."""


def _build_nav(language: Language, sections: Mapping[str, Mapping[str, str]]) -> Iterator[object]:
    for section, members in sections.items():
        title = language.sections[section]
        yield {title: next(iter(members.values()))} if section == "home" else {title: list(members.values())}


def _translate(stem: str, language: Language) -> str:
    translated = f"{stem}{language.suffix}.md"
    return translated if (ROOT / translated).exists() else f"{stem}.md"


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _order(stem: str) -> tuple[bool, str]:
    return not stem.startswith("week-"), stem


def main() -> None:
    """Build the sites of both languages, and a first page that leads to them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    for language in LANGUAGES:
        build_site(language, folder / language.code)
    links = "".join(f'<p><a href="{one.code}/index.html" lang="{one.code}">{one.name}</a></p>' for one in LANGUAGES)
    (folder / "index.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Practicum</title>{links}</html>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
