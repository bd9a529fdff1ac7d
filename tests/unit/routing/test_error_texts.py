import pytest

from penfold.model import Reply
from penfold.routing.status import parse_error


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("5.7.0:550 Closed", Reply.of(550, "5.7.0", "Closed")),
        ("5.1.2 Closed", Reply.of(550, "5.1.2", "Closed")),
        ("4.2.1 Later", Reply.of(450, "4.2.1", "Later")),
        ("554 5.7.1 Closed", Reply.of(554, "5.7.1", "Closed")),
        ("450 5.7.1 Later", Reply.of(450, "4.7.1", "Later")),
        ("421 Later", Reply.of(421, "4.0.0", "Later")),
        ("551 Moved", Reply.of(551, "5.0.0", "Moved")),
        ("nouser No Alice here", Reply.of(550, "5.1.1", "No Alice here")),
        ("TempFail", Reply.of(450, "4.0.0", "Try again later")),
        ("Closed for good", Reply.of(550, "5.0.0", "Closed for good")),
        ("", Reply.of(550, "5.0.0", "Mail is not accepted here")),
        ("two\r\nlines\0", Reply.of(550, "5.0.0", "two lines")),
        ("5.0.0:550 5.7.0 words", Reply.of(550, "5.0.0", "5.7.0 words")),
        ("a" * 399 + " b", Reply.of(550, "5.0.0", "a" * 399)),
        ("555 words", Reply.of(555, "5.0.0", "words")),
        ("5.1.1", Reply.of(550, "5.1.1", "Mail is not accepted here")),
    ],
)
def test_error_texts_of_all_forms_are_read(text, reply):
    assert parse_error(text) == reply
