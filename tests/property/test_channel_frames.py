"""Any cutting of a channel's octets gives the same frames; hostile octets give an error and nothing else."""

from fuzz.fuzz_channel import SEEDS, target
from hypothesis import given
from hypothesis import strategies as st

from penfold.net.frames import ChannelError, Kind, Splitter, frame

FRAMES = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**32 - 1), st.binary(max_size=300), st.integers(0, 16)),
    max_size=12,
)


@given(FRAMES, st.data())
def test_any_cutting_gives_the_same_frames(sent, data):
    octets = b"".join(frame(*each) for each in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=10)))
    splitter, got = Splitter(), []
    for begin, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        got += [
            (kind, serial, bytes(payload), descriptors)
            for kind, descriptors, serial, payload in splitter.feed(memoryview(octets[begin:end]))
        ]
    assert got == sent
    assert not splitter.kept


@given(st.binary(max_size=400) | st.sampled_from(SEEDS))
def test_hostile_octets_never_raise_anything_else(octets):
    target(octets)


@given(st.integers(2**20 + 1, 2**32 - 1))
def test_a_length_over_the_limit_is_an_error_before_anything_is_kept(length):
    splitter = Splitter()
    try:
        list(splitter.feed(memoryview(length.to_bytes(4, "big") + bytes(6))))
    except ChannelError:
        assert not splitter.kept
    else:
        raise AssertionError("taken")
