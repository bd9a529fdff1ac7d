"""Bodies that try to end early, and what is to arrive of them."""

import re

from hypothesis import strategies as st

nasty = st.lists(
    st.one_of(
        st.sampled_from([b".", b"..", b"\r", b"\n", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"\n.\n", b"a"]),
        st.binary(max_size=5),
    ),
    max_size=30,
)


def canonical(body: bytes) -> bytes:
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", body)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"
