"""SASL: our two sides understand each other, and no octets do more than be refused."""

from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.protocols import sasl
from penfold.protocols.sasl.client import LoginClient, PlainClient, ScramClient
from penfold.protocols.sasl.prepare import prepare


def _usable(text):
    return 0 < len(prepare(text).encode()) < 255 and prepare(prepare(text)) == prepare(text)


names = st.text(st.characters(exclude_categories=("C", "Z", "M")), min_size=1, max_size=20).filter(
    lambda text: len(prepare(text).encode()) < 255 and prepare(text) and prepare(prepare(text)) == prepare(text)
)


def _run(client, server, verifier=None):
    response = client.initial()
    for _ in range(6):
        step = server.step(response)
        if isinstance(step, sasl.NeedVerifier):
            step = server.verifier(verifier)
        if not isinstance(step, sasl.Challenge):
            return step
        response = client.respond(step.data)
    return None


@settings(max_examples=200, deadline=None)
@given(names, names)
def test_name_and_password_arrive_by_plain_and_login(user, password):
    for client in (PlainClient(user, password), LoginClient(user, password)):
        claimed = _run(client, sasl.start(client.mechanism, nonce=""))
        assert claimed == sasl.Password("", prepare(user), prepare(password))


@settings(max_examples=60, deadline=None)
@given(names, names, names, st.sampled_from(["SCRAM-SHA-256", "SCRAM-SHA-1"]))
def test_scram_grants_the_right_password_and_no_other(user, password, other, mechanism):
    verifier = sasl.derive(password, b"salt", 5, mechanism)
    for tried in (password, other):
        client = ScramClient(user, tried, nonce="clientNonce", mechanism=mechanism)
        end = _run(client, sasl.start(mechanism, nonce="serverNonce"), verifier)
        if prepare(tried) == prepare(password):
            assert end == sasl.Granted(prepare(user), "")
            assert client.satisfied
        else:
            assert isinstance(end, sasl.Refused)
            assert not client.satisfied


responses = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.sampled_from(
        [b"n,,n=user,r=clientNonce", b"c=biws,r=clientNonceserver,p=AAAA", b"p=tls-exporter,,n=u,r=abcdefgh"]
    ),
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sasl.SERVER_MECHANISMS), st.lists(responses, max_size=5))
def test_any_responses_are_answered_and_none_is_granted(mechanism, tries):
    server = sasl.start(
        mechanism, nonce="serverNonce", bindings={"tls-exporter": b"x"} if "PLUS" in mechanism else None
    )
    for response in tries:
        step = server.step(response)
        if isinstance(step, sasl.NeedVerifier):
            step = server.verifier(sasl.fake_verifier(b"secret", step.user))
        assert not isinstance(step, sasl.Granted)
        if not isinstance(step, sasl.Challenge):
            return
