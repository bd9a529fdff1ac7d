"""Every IMAP transcript holds for a session over every store that has what it needs."""

import re
from pathlib import Path

import pytest
from conformance.imap_runner import DRIVERS, Transcript, run_over_session, sent, transcripts

from penfold.access.imap.commands import CAPABILITIES
from penfold.protocols.imap.verbs import VERBS

ALL = transcripts()

# Commands of extensions that are not offered.
_LATER = {"CANCELUPDATE", "GENURLAUTH", "RESETKEY", "URLFETCH"}


@pytest.mark.parametrize(
    ("driver", "transcript"),
    [
        pytest.param(driver, transcript, id=f"{transcript.name}-{driver}")
        for driver in sorted(DRIVERS)
        for transcript in ALL
        if not transcript.needs & DRIVERS[driver].lacks
    ],
)
def test_transcript_holds_over_a_session(transcript: Transcript, driver: str, tmp_path: Path) -> None:
    run_over_session(transcript, driver, tmp_path)


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: transcript.name)
def test_transcript_names_its_standard(transcript: Transcript) -> None:
    assert re.match(r"RFC \d+ §", transcript.title), transcript.name


def test_every_command_has_a_transcript() -> None:
    said = {
        match[1].upper()
        for transcript in ALL
        for text in sent(transcript)
        if (match := re.match(r"\S+ ((?:UID )?[A-Za-z]+)", text, re.IGNORECASE))
    }
    assert {verb.decode() for verb in VERBS} - _LATER <= said


def test_every_capability_that_is_offered_has_a_transcript() -> None:
    covered = {name for transcript in ALL for name in transcript.covers}
    assert [name for name in CAPABILITIES if name not in covered] == []
