"""Log lines: one a session and one an attempt, whatever strangers say."""

import os
import syslog
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.telemetry import Remembered, events
from penfold.telemetry.escape import ascii_only, value, visible
from penfold.telemetry.log import Everyone, File, LogLines, Stream, Syslog, line_of, sink, stamp

HOSTILE = st.text(
    alphabet=st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs", "Lu", "Zs", "Po", "So"]), max_size=80
)


@given(HOSTILE)
def test_visible_text_has_no_control_no_line_end_and_says_the_same(text):
    shown = visible(text, 1000)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in shown)
    assert len(shown.splitlines()) <= 1
    assert ascii_only(shown).isascii()
    if "\\" not in text:
        assert shown.encode("ascii", "backslashreplace").decode("unicode_escape") == text
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\r\n250 ok", "a\\r\\n250 ok"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("\udcff", "\\udcff"),
        ("back\\slash", "back\\\\slash"),
        ("käse", "käse"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_cannot_be_shown_is_written_out(text, shown):
    assert visible(text) == shown


def test_long_text_is_cut_and_values_are_quoted_where_they_must_be():
    assert len(visible("x" * 5000)) == 300
    assert value("") == '""'
    assert value("a b") == '"a b"'
    assert value('x="y"') == '"x=\\"y\\""'
    assert value("plain@example.org") == "plain@example.org"


def closed(**more):
    return events.SessionClosed(at=1_700_000_000.25, session="s1", reason="quit", client="192.0.2.1", **more)


def test_a_session_is_one_line_with_what_the_client_said_escaped():
    line = line_of(closed(helo='evil\n2024-01-01 reason=quit client="127.0.0.1"', messages=2, seconds=0.5))
    assert "\n" not in line
    assert line.startswith(
        'session session=s1 reason=quit client=192.0.2.1 helo="evil\\n2024-01-01 reason=quit client=\\"'
    )
    assert line.endswith("messages=2 refused=0 octets=0 seconds=0.500")


def test_an_attempt_is_one_line_and_other_kinds_have_none_or_a_note():
    attempt = events.Attempt(
        at=1.0, id="A1", number=1, mailer="smtp", outcome="deferred", reply="451 4.7.1 later", tls=""
    )
    assert line_of(attempt) == (
        'attempt id=A1 number=1 mailer=smtp outcome=deferred reply="451 4.7.1 later" attempt=1 seconds=0.000'
    )
    assert line_of(events.Finished(at=1.0, id="A1")) == ""
    assert line_of(events.RoleEnded(at=1.0, role="local", pid=7, expected=False)) == "note role local died (process 7)"


def test_lines_are_held_until_the_flush_and_carry_the_time():
    written = []
    lines = LogLines(Stream(written.append))
    both = Everyone(lines, remembered := Remembered())
    both.record(closed())
    both.record(events.Finished(at=1.0, id="A1"))
    assert written == []
    both.flush()
    assert written[0].startswith("2023-11-14T22:13:20.250Z session ")
    assert len(remembered.events) == 2


def test_a_reader_that_went_away_is_no_trouble():
    def gone(_text):
        raise BrokenPipeError

    stream = Stream(gone, times=False)
    stream.write(1.0, "x", urgent=False)
    stream.flush()
    stream.flush()


def test_a_file_is_appended_to_private_and_opened_anew_after_it_was_renamed(tmp_path):
    path = tmp_path / "mail.log"
    log = File(str(path))
    for text in ("one", "two"):
        log.write(0.0, text, urgent=False)
        log.flush()
    assert path.read_text().split()[1::2] == ["one", "two"]
    assert path.stat().st_mode & 0o027 == 0
    os.rename(path, tmp_path / "mail.log.1")
    log.write(0.0, "three", urgent=False)
    log.flush()
    assert path.read_text().endswith("three\n")
    log.close()
    log.close()


def test_a_file_that_cannot_be_written_loses_lines_and_counts_them(tmp_path):
    log = File(str(tmp_path / "none" / "mail.log"))
    log.write(0.0, "x", urgent=False)
    log.flush()
    log.flush()
    assert log.lost > 0
    os.symlink(tmp_path / "target", tmp_path / "link")
    log = File(str(tmp_path / "link"))
    log.write(0.0, "x", urgent=False)
    log.flush()
    assert not (tmp_path / "target").exists()


def test_syslog_gets_bounded_ascii_and_the_urgency(monkeypatch):
    sent = []
    monkeypatch.setattr(syslog, "openlog", lambda *args: sent.append(args[0]))
    monkeypatch.setattr(syslog, "syslog", lambda priority, line: sent.append((priority, line)))
    lines = LogLines(Syslog())
    lines.record(events.Trouble(at=1.0, where="queue", detail="käse " + "x" * 5000))
    lines.record(closed(helo="\x1b"))
    lines.flush()
    assert sent[0] == "penfold"
    assert sent[1][0] == syslog.LOG_ERR
    assert "k\\xe4se" in sent[1][1]
    assert len(sent[1][1]) <= 900
    assert sent[2][0] == syslog.LOG_INFO
    assert "helo=\\x1b" in sent[2][1]


def test_the_option_names_the_sink(monkeypatch):
    monkeypatch.setattr(syslog, "openlog", lambda *_args: None)
    assert sink("") is None
    assert isinstance(sink("stderr"), Stream)
    assert isinstance(sink("syslog"), Syslog)
    assert isinstance(sink("/var/log/x"), File)


@pytest.mark.parametrize("at", [1e300, -1e18, 253402300800.0])
def test_a_time_of_no_year_of_ours_is_shown_all_the_same(at):
    assert stamp(at).startswith("????")


def test_times_have_milliseconds_and_are_utc():
    assert stamp(0.9996) == "1970-01-01T00:00:00.999Z"
    assert stamp(-0.25) == "1969-12-31T23:59:59.750Z"
