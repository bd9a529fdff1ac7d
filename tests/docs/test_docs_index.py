"""The index of the documentation leaves no page out."""

from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(
    page for folder in ("guide", "walks", "internals", "reference", "adr") for page in DOCS.glob(f"{folder}/*.md")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_linked(page):
    assert f"]({page.relative_to(DOCS)})" in (DOCS / "README.md").read_text()
