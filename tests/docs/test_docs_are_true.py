"""The documentation says what the program does: nothing undocumented, no dead link, no command that does not exist."""

import re
from pathlib import Path

import pytest
from tools import gendocs, rfcmap

from penfold import config
from penfold.cli.main import COMMANDS
from penfold.config.describe import groups
from penfold.telemetry.metrics import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
FRAGMENT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.(added|changed|fixed|security|removed)\.md")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def named(page):
    return str(page.relative_to(ROOT))


def without_code(text):
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_generated_pages_are_up_to_date():
    assert gendocs.stale() == []


def test_every_option_is_on_the_reference_page():
    text = (ROOT / "docs/reference/configuration.md").read_text()
    for group in groups():
        assert f"`{group.heading}`" in text or not group.heading
        for option in group.options:
            assert f"| `{option.name.rpartition('.')[2]}` |" in text
            assert option.doc.replace("|", "\\|") in text


def test_every_command_that_is_installed_is_on_the_reference_page_and_in_the_manual():
    text = (ROOT / "docs/reference/commands.md").read_text()
    manual = (ROOT / "docs/man/penfold.1").read_text()
    for command, parser in gendocs.installed():
        assert f"## penfold {command.name}" in text
        assert f".SS penfold {command.name}" in manual
        for _, actions in gendocs._levels(parser):
            for action in actions:
                assert action.help, f"penfold {command.name}: {action.dest} has no help"


def test_every_metric_and_every_kind_of_event_is_described():
    metrics = (ROOT / "docs/reference/metrics.md").read_text()
    assert all(f"| `{metric.name}` |" in metrics for metric in CATALOGUE)
    kinds = (ROOT / "docs/reference/events.md").read_text()
    for kind in gendocs.kinds():
        assert kind.__doc__
        assert f"| `{kind.__struct_config__.tag}` |" in kinds


def test_every_rfc_cited_is_in_the_index_and_every_claim_has_its_test():
    assert rfcmap.check() == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_lead_somewhere(page):
    for link in LINK.findall(without_code(page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{named(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_options_named_in_the_text_exist(page):
    text = page.read_text()
    known = {command.name for command in COMMANDS} | {"help"}
    for word in re.findall(r"(?:`|\$ )penfold ([a-z]+)(?=[ `]\D)", text):
        assert word in known, f"{named(page)}: penfold {word}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_configurations_shown_can_be_loaded(page):
    for text in re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        if "[passwords]" not in text and "[login." not in text:
            config.loads(text, file=named(page))


def test_decisions_are_numbered_once_and_have_all_their_parts():
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)
    for page in pages:
        text = page.read_text()
        assert re.match(rf"# 0*{int(page.name[:4])}[.:] ", text), named(page)
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{named(page)} lacks {part}"


def test_changelog_fragments_are_well_formed():
    for fragment in (ROOT / "changelog.d").iterdir():
        if fragment.name == "README.md":
            continue
        assert FRAGMENT.fullmatch(fragment.name), fragment.name
        assert 20 < len(fragment.read_text().strip()) < 400, fragment.name
    assert "<!-- towncrier release notes start -->" in (ROOT / "CHANGELOG.md").read_text()
