"""TLS: contexts for servers and clients, what a handshake came to, and certificates for demo and tests.

Opportunistic clients verify nothing: whoever can change the packets can take STARTTLS away as well, so a check there
would only turn mail into plain text or into a bounce. Required and verified are separate wishes (policy decides).

Standards: RFC 3207; RFC 7435; RFC 8314 §4.1 (TLS 1.2 or later); RFC 5929 §4 (tls-server-end-point); RFC 9266
Trust: certificates of peers are data from anywhere; our keys come as octets, so no right to the file is needed here.
"""

import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from cryptography import x509

_DIGEST_UPGRADES = {"md5": "sha256", "sha1": "sha256"}  # RFC 5929 §4.1


class TlsFacts(NamedTuple):
    """What a handshake came to. ``name`` is the subject of a verified peer certificate, ``""`` without one."""

    version: str
    cipher: str
    bits: int
    name: str = ""
    verified: bool = False

    def __str__(self) -> str:
        return f"{self.version} {self.cipher}"


class KeyPair(NamedTuple):
    """A certificate chain (leaf first) and its private key, both PEM."""

    certificate: bytes
    key: bytes


def facts_of(connection: ssl.SSLObject | ssl.SSLSocket) -> TlsFacts:
    """Read the facts of a finished handshake."""
    cipher = connection.cipher() or ("", "", 0)
    certificate = connection.getpeercert() or {}
    return TlsFacts(connection.version() or "", cipher[0], cipher[2] or 0, _peer_name(certificate), bool(certificate))


def _peer_name(certificate: object) -> str:
    """Give the first DNS or e-mail name of a verified certificate, else its common name."""
    fields = cast("dict[str, Sequence[object]]", certificate)
    for kind, value in cast("Sequence[tuple[str, str]]", fields.get("subjectAltName", ())):
        if kind in {"DNS", "email"}:
            return value
    for part in cast("Sequence[Sequence[tuple[str, str]]]", fields.get("subject", ())):
        for key, value in part:
            if key == "commonName":
                return value
    return ""


def server_context(pair: KeyPair, *, clients: bytes | None = None) -> ssl.SSLContext:
    """Make a context for a server. ``clients`` is a PEM bundle: certificates that clients show are verified by it.

    Raises ssl.SSLError when certificate and key are no pair or not PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 1  # a mail client opens few connections at once; each ticket costs octets in every handshake
    # SECURITY: an end without close_notify is an end of file, and mail has its own ends (the dot, QUIT); truncation
    # is therefore seen by the protocol, and clients that just hang up are many.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    load_pair(context, pair)
    if clients is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=clients.decode("ascii"))
    return context


def load_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Give a context a new certificate and key: handshakes from now on use it, open connections keep theirs.

    Raises ssl.SSLError, and leaves the context as it was when the pair does not fit.
    """
    # SECURITY: OpenSSL's Python face loads from files only; an anonymous memory file keeps the key off every disk.
    with _MemoryFile(pair.certificate) as certificate, _MemoryFile(pair.key) as key:
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(certificate, key, password=_no_password)
        context.load_cert_chain(certificate, key, password=_no_password)


def _no_password() -> bytes:
    """Refuse encrypted keys instead of asking at the terminal."""
    raise ssl.SSLError("the private key is encrypted")


def read_pair(certificate: str, key: str) -> KeyPair:
    """Read a pair from its two files (one file may hold both). Raises OSError."""
    with open(certificate, "rb") as first, open(key, "rb") as second:
        return KeyPair(first.read(), second.read())


def opportunistic() -> ssl.SSLContext:
    """Make a client context that encrypts with whoever answers (RFC 7435)."""
    context = _client()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verified(authorities: bytes | None = None) -> ssl.SSLContext:
    """Make a client context that wants a valid certificate for the host's name: by a PEM bundle, or the system's."""
    context = _client()
    if authorities is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    return context


def _client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


class _MemoryFile:
    """Octets under a path that exists nowhere but in this process."""

    def __init__(self, content: bytes) -> None:
        self._descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
        os.write(self._descriptor, content)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def end_point_binding(pair: KeyPair) -> bytes:
    """Compute the ``tls-server-end-point`` channel binding of the leaf certificate (RFC 5929 §4.1)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    certificate = x509.load_pem_x509_certificate(pair.certificate)
    used = certificate.signature_hash_algorithm
    upgraded = used is None or used.name in _DIGEST_UPGRADES  # Ed25519 has no digest of its own: SHA-256 by convention
    return certificate.fingerprint(hashes.SHA256() if used is None or upgraded else used)


def self_signed(
    names: Sequence[str], *, now: dt.datetime | None = None, days: int = 30, authority: KeyPair | None = None
) -> KeyPair:
    """Make a P-256 certificate for ``names`` (hosts or IP addresses), for demo and tests.

    It signs itself (and may then serve as its own bundle for ``verified``), or is signed by ``authority``.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    issuer, signer = subject, key
    if authority is not None:
        issuer = x509.load_pem_x509_certificate(authority.certificate).subject
        signer = cast("ec.EllipticCurvePrivateKey", serialization.load_pem_private_key(authority.key, password=None))
    begin = now or dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - dt.timedelta(minutes=5))
        .not_valid_after(begin + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _general_name(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
