import pytest

from penfold.formats.flags import from_maildir_info, from_status_fields, maildir_info, status_fields


@pytest.mark.parametrize(
    ("flags", "letters"),
    [
        ((), ""),
        (("\\Seen",), "S"),
        (("\\Seen", "\\Flagged", "\\Draft", "\\Answered", "\\Deleted", "$Forwarded"), "DFPRST"),
        (("keyword",), ""),
    ],
)
def test_maildir_letters_are_sorted(flags: tuple[str, ...], letters: str):
    assert maildir_info(flags) == letters
    assert from_maildir_info(f"name:2,{letters}") == frozenset(flags) - {"keyword"}


def test_a_name_without_info_has_no_flags():
    assert from_maildir_info("1.S.host,S=3") == frozenset()
    assert from_maildir_info("1.a.host:1,S") == frozenset()


def test_status_fields_say_all_flags_and_refuse_bad_keywords():
    flags = frozenset({"\\Seen", "\\Answered", "$Junk", "bad word", "bad\nStatus"})
    assert status_fields(flags) == b"Status: RO\nX-Status: A\nX-Keywords: $Junk\n"
    assert from_status_fields(status_fields(flags)) == {"\\Seen", "\\Answered", "$Junk"}
    assert status_fields(frozenset()) == b""


def test_only_the_fields_of_that_name_count():
    assert from_status_fields(b"Subject: Status: R\nXStatus: A\nstatus: r R\n") == {"\\Seen"}
