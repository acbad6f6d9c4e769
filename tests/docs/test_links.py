"""Every link of the documentation leads somewhere, and every file that it names is there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import PAGES, ROOT, TRIED, blocks, headings, links, spans

LINKS = [(page, link) for page in PAGES for link in links(page)]
# A file or folder of the repository, within code: `graph/errors.py`, `tests/docs/`.
_NAMED = re.compile(r"(?:\.ci|bench|docs|graph|requirements|tests)/[\w./{},-]*")
NAMED = [(page, span) for page in TRIED for span in spans(page) if _NAMED.fullmatch(span)]


def shown(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("page", "link"), LINKS, ids=shown)
def test_a_link_leads_to_a_file_or_heading_that_exists(page: Path, link: str) -> None:
    parts = urlsplit(link)
    if parts.scheme:
        assert parts.scheme == "https" or parts.hostname == "127.0.0.1"
        return
    target = (page.parent / parts.path).resolve() if parts.path else page

    assert target.is_relative_to(ROOT)
    assert target.exists()
    if parts.fragment:
        assert parts.fragment in headings(target)


@pytest.mark.parametrize(("page", "name"), NAMED, ids=shown)
def test_a_file_that_is_named_exists(page: Path, name: str) -> None:
    paths = expanded(name)

    assert [path for path in paths if not (ROOT / path).exists()] == [], page


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=shown)
def test_the_readme_leads_to_every_page(page: Path) -> None:
    assert page.relative_to(ROOT).as_posix() in links(ROOT / "README.md")


def test_no_heading_of_a_page_has_the_same_anchor_as_another() -> None:
    for page in PAGES:
        if page.name != "CHANGELOG.md":  # each version has "Added"
            assert len(set(headings(page))) == len(headings(page)), page


def test_every_folder_of_the_picture_exists_and_no_stage_is_missing() -> None:
    (picture,) = (
        block for block in blocks(ROOT / "docs" / "design.md") if block.language == "mermaid"
    )
    named = set(re.findall(r"<b>([\w/]+)/</b>", picture.text))
    stages = {path.parent.name for path in ROOT.glob("graph/*/__init__.py")} - {
        "commands",
        "errors",
        "selection",
        "settings",
    }

    assert [name for name in named if not (ROOT / "graph" / name).is_dir()] == []
    assert {name.split("/")[0] for name in named} == stages


def expanded(name: str) -> list[str]:
    """`a/{b,c}` is `a/b` and `a/c`."""
    found = re.fullmatch(r"(.*)\{(.*)\}(.*)", name)
    if found is None:
        return [name]
    before, choices, after = found.groups()
    return [f"{before}{choice}{after}" for choice in choices.split(",")]
