"""The POP3 transcripts hold for the session over the stores, in memory and behind the real listener."""

import contextlib
from pathlib import Path

import pytest
from conformance.pop3_house import SessionPeer, serving
from conformance.pop3_runner import Run, Transcript, transcripts
from conformance.pop3_stores import STORES
from conformance.smtp_runner import TcpPeer

# What the application behind the core does otherwise than a post office.
CORE_ONLY = {
    "greeting_refused": "its application refuses whom it likes, and says so in its own words",
    "xtnd_xmit": "its application takes a message that names no recipient",
}
FITTING = [one for one in transcripts() if one.name not in CORE_ONLY]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("transcript", FITTING, ids=lambda transcript: transcript.name)
def test_transcript_holds_over_a_session(transcript: Transcript, store: str, tmp_path: Path) -> None:
    with SessionPeer(transcript, lambda: STORES[store](tmp_path)) as peer:
        Run(transcript, peer).play()


@pytest.mark.parametrize(
    "transcript", [one for one in FITTING if not one.core_only], ids=lambda transcript: transcript.name
)
def test_transcript_holds_over_the_listener(transcript: Transcript) -> None:
    with serving(transcript) as port, contextlib.closing(TcpPeer("127.0.0.1", port)) as peer:
        if transcript.settings.get("tls") == "yes":
            peer.start_tls()
        Run(transcript, peer).play()


def test_what_is_left_out_exists() -> None:
    assert set(CORE_ONLY) <= {one.name for one in transcripts()}
