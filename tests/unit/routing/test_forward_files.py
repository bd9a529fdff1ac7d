import pytest

from penfold.model import parse_address
from penfold.routing.entries import Program, To
from penfold.routing.forward import ForwardError, parse_forward


def test_each_line_is_a_right_hand_side_and_comments_are_skipped():
    data = b'# mine\n\\joe, "|/usr/bin/vacation joe"\r\n\n  bob@example.org\n'
    assert parse_forward(data) == (
        To(parse_address("joe"), final=True),
        Program("/usr/bin/vacation joe"),
        To(parse_address("bob@example.org")),
    )


def test_an_indented_line_begins_a_new_list_instead_of_continuing_one():
    assert len(parse_forward("alice\n bob")) == 2


@pytest.mark.parametrize(("data", "line"), [(b'ok\n"open\n', 2), (b"a\nb\n\xff", 3), (b"a b", 1)])
def test_an_error_names_its_line(data, line):
    with pytest.raises(ForwardError) as caught:
        parse_forward(data)
    assert caught.value.line == line


def test_too_many_entries_are_an_error():
    with pytest.raises(ForwardError):
        parse_forward("a,\n" * 20_001)


def test_an_empty_file_names_nobody():
    assert parse_forward(b"\n# nothing\n") == ()
