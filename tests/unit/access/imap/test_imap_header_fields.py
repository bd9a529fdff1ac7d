"""Header fields of many messages at once are what they are of each."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from penfold.access.imap.fetch_columns import Batch, fields
from penfold.message.sections import What, section
from penfold.message.structure import scan
from penfold.protocols.imap.fetching import Section, Text

LINES = st.sampled_from(
    [
        *(b"Subject: tea\r\n", b"SUBJECT : x\r\n", b"X-Odd: a\r\n", b"x-odd: b\r\n more\r\n\tand more\r\n", b"To:\r\n"),
        *(b"Received: here\r\n", b"Subject-Not: x\r\n", b"X-Odd: no end", b": empty\r\n"),
    ]
)


class Messages:
    """A view of some messages."""

    def __init__(self, messages):
        self.messages = messages

    def columns(self, names, rows):
        return ([scan(message).body for message in self.messages],)

    def body(self, row, start, length):
        return self.messages[row][start : start + length]


@given(
    st.lists(
        st.tuples(st.lists(LINES, max_size=5).map(b"".join), st.sampled_from([b"", b"\r\n", b"\r\nX-Odd: body\r\n"]))
    ),
    st.sampled_from([(b"X-ODD",), (b"subject", b"x-odd"), (b"received", b"TO")]),
)
def test_fields_by_columns_are_the_fields_of_the_section(parts, names):
    messages = [b"".join(part) for part in parts]
    batch = Batch(SimpleNamespace(view=Messages(messages)), range(len(messages)), utf8=False)
    shown = fields(batch, Section(b"x", text=Text.FIELDS, fields=names)).values
    for message, octets in zip(messages, shown, strict=True):
        wanted = section(message, scan(message), (), What.FIELDS, names).read(message)
        assert octets.partition(b"\r\n")[2] == wanted
