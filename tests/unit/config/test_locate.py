"""Where keys stand in a TOML text."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.config.locate import Positions

TEXT = '''\
# a comment with [brackets] and = signs
top = 1
"quoted key" = 'x = [y]'
a.b."c d" = """
not = a key
[nor.a.header]
"""

[limits] # [not.this]
  size = "50MB"
list = [ 1, # one
  "two, ]",
  [3, 4],
  { inner = 5, deep.er = [6] },
]
[[account]]
address = "a"
[account.extra]
note = 1
[[account]]
  address = "b"
[x."y.z"]
'tail' = "\\u0041"
'''


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (("top",), (2, 1)),
        (("quoted key",), (3, 1)),
        (("a", "b", "c d"), (4, 5)),
        (("limits",), (9, 1)),
        (("limits", "size"), (10, 3)),
        (("limits", "list", 1), (12, 3)),
        (("limits", "list", 2, 1), (13, 7)),
        (("limits", "list", 3, "inner"), (14, 5)),
        (("limits", "list", 3, "deep", "er", 0), (14, 27)),
        (("account", 0, "address"), (17, 1)),
        (("account", 0, "extra", "note"), (19, 1)),
        (("account", 1), (20, 1)),
        (("account", 1, "address"), (21, 3)),
        (("x", "y.z", "tail"), (23, 1)),
        (("limits", "missing"), (9, 1)),
        (("nowhere",), (1, 1)),
        (("nor", "a", "header"), (1, 1)),
    ],
)
def test_a_key_is_found_where_it_stands(path, where):
    tomllib.loads(TEXT)
    assert Positions(TEXT).find(path) == where


WORDS = st.sampled_from(["a", "b1", '"q.q"', "'s s'", "a.b"])
SCALARS = st.sampled_from(["1", '"x"', "'''y\n]'''", '"""z\n= ["""', "true", "1979-05-27", '"\\"["'])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(inner, max_size=3).map(lambda v: "{" + ", ".join(f"k{i} = {x}" for i, x in enumerate(v)) + "}"),
    ),
    max_leaves=8,
)
LINES = st.one_of(
    st.tuples(WORDS, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    WORDS.map(lambda word: f"[{word}]"),
    WORDS.map(lambda word: f"[[{word}]]  # [c]"),
    st.just("# comment = ["),
)


def paths(value, path=()):
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*path, index))


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_every_path_of_a_valid_text_is_found_on_a_line_of_it(text):
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    positions = Positions(text)
    wanted = list(paths(values))
    assert set(wanted) <= set(positions._offsets)
    for path in wanted:
        line, column = positions.find(path)
        assert text.split("\n")[line - 1][column - 1 :]


@given(st.text(alphabet="ab=.[]{},\"'# \n\\1", max_size=60))
def test_garbage_ends_too(text):
    Positions(text)


def test_deep_nesting_costs_no_stack_and_little_time():
    Positions("x = " + "[" * 100_000)
    Positions("x = " + "{a=" * 50_000)
