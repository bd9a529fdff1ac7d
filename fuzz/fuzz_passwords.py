"""Password files and verifiers: readable or refused with file and line, and no message ever shows a verifier."""

from penfold.directory import passwords
from penfold.directory.secret_file import read_secrets
from penfold.model import ConfigError

SEEDS: list[bytes] = [
    b"# comment\nalice@example.test:{PLAIN}secret word\nbob:{SSHA}c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n",
    b"a:{SCRAM-SHA-256}4096,c2FsdA==,MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=,"
    b"MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\n",
    b"a:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA\nb:$6$salt$hash\n",
]
TOKENS = (b"{SSHA256}", b"{SSHA512}", b"{CRYPT}", b"{ARGON2ID}", b"{SCRAM-SHA-256}", b"{NONE}")
_CHEAP = ("{PLAIN}", "{SSHA")


def target(data: bytes) -> None:
    """Read the octets as a password file, and each verifier; cheap ones are checked too."""
    text = data.decode("utf-8", "replace")
    for verifier in _verifiers(text):
        assert passwords.readable(verifier)
        passwords.scram(verifier)
        passwords.outdated(verifier)
        if verifier.upper().startswith(_CHEAP) and "$" not in verifier and " " not in verifier:
            assert isinstance(passwords.verify(verifier, text[:40] or "x"), bool)


def _verifiers(text: str) -> list[str]:
    problem = None
    try:
        return list(read_secrets(text, "/nonexistent/passwords").values())
    except ConfigError as error:
        problem = error
    assert problem.line
    assert "c2Vj" not in str(problem)
    return []
