"""The system's crypt(3), through ctypes: the password hashes of ``/etc/shadow`` and of older user files.

Trust: the setting comes from the administrator's password table, the password from anywhere.
"""

import ctypes
import ctypes.util
import hmac
from functools import cache

_CRYPT_DATA = 256 * 1024  # octets; larger than struct crypt_data of every libcrypt (32,768 or 131,232)


class CryptUnavailableError(Exception):
    """This system has no libcrypt."""


@cache
def _crypt_r() -> "ctypes._NamedFuncPointer":
    name = ctypes.util.find_library("crypt") or "libcrypt.so.1"
    try:
        function = ctypes.CDLL(name).crypt_r
    except (OSError, AttributeError) as error:
        raise CryptUnavailableError(str(error)) from None
    function.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
    function.restype = ctypes.c_char_p
    return function


def crypt(password: str, setting: str) -> str:
    """Hash a password with a setting (``$6$salt$``, or an old hash); empty when the setting is not supported.

    Releases the interpreter lock while it hashes. Raises CryptUnavailableError.
    """
    secret, salt = password.encode(), setting.encode()
    if b"\0" in secret or b"\0" in salt:
        return ""
    data = ctypes.create_string_buffer(_CRYPT_DATA)
    result: bytes | None = _crypt_r()(secret, salt, data)
    text = result.decode(errors="replace") if result else ""
    return "" if text.startswith("*") else text


def crypt_matches(password: str, stored: str) -> bool:
    """Tell whether the password gives this hash; an empty or locked hash (``*``, ``!``) matches nothing."""
    if len(stored) < 13 or stored[0] in "*!":
        return False
    return hmac.compare_digest(crypt(password, stored).encode(), stored.encode())
