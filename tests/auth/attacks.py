"""The list of attacks on access tokens: each makes a token that must be refused (RFC 8725, RFC 7515)."""

import json
import time
from collections.abc import Callable, Iterator

from app.core.keys import Keyring
from tests.auth.forging import LEFT_OUT, Forger, encoded, signed

Attack = Callable[[Forger], str]

_ALGORITHMS = (
    "none",
    "None",
    "nOnE",
    "NONE",
    "",
    "HS384",
    "HS512",
    "RS256",
    "ES256",
    "PS256",
    "EdDSA",
    "hs256",
    "dir",
)
_ODD_VALUES: tuple[object, ...] = (["HS256"], 256, None, True, {"HS256": 1}, LEFT_OUT)
_HEADER_MEMBERS: dict[str, object] = {
    "crit": ["exp"],
    "b64": False,
    "zip": "DEF",
    "cty": "JWT",
    "x": 1,
    "enc": "A256GCM",
    "jku": "http://127.0.0.1:9/keys.json",
    "x5u": "http://127.0.0.1:9/cert.pem",
    "x5c": ["MIIB"],
    "jwk": {"kty": "oct", "k": "AAAA"},
}
_KEY_IDS: tuple[object, ...] = (
    "",
    "0" * 16,
    "../../../../dev/null",
    "/etc/passwd",
    "' OR 1=1 --",
    "http://127.0.0.1:9/key",
    "é",
    7,
    None,
    [],
)
_CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp", "ver")
_WRONG_CLAIMS: dict[str, tuple[object, ...]] = {
    "iss": ("other", "", "Tessera", ["tessera"], None),
    "aud": ("other", "tessera", ["tessera-api"], ["tessera-api", "x"], None),
    "sub": (1, "1", "", None, "x" * 36, ["x"], "00000000-0000-0000-0000-00000000000g"),
    "sid": (1, "1", "", None, "x" * 36, {}),
    "jti": (1, "", None, "short"),
    "iat": ("1", 1.5, True, None, -1, 10**30, 10**400),
    "exp": ("9999999999", 9999999999.5, True, None, -1, 10**30, 10**400),
    "nbf": ("1", 1.5, True, 10**400),
    "ver": ("1", 1.0, None, True, [1]),
}
_MORE_CLAIMS: dict[str, object] = {
    "scope": "everything",
    "roles": ["superuser"],
    "is_superuser": True,
    "privileges": ["users:read"],
}


def _header(name: str, value: object) -> Attack:
    return lambda forger: forger.token(header={name: value})


def _claim(name: str, value: object) -> Attack:
    return lambda forger: forger.token(claims={name: value})


def _unsigned(algorithm: str) -> Attack:
    return lambda forger: _with_signature(forger.token(header={"alg": algorithm}), "")


def _digest(digest: str, algorithm: str) -> Attack:
    return lambda forger: forger.token(header={"alg": algorithm}, digest=digest)


def _raw_header(raw: bytes) -> Attack:
    return lambda forger: signed(forger.key, raw, json.dumps(forger.claims).encode())


def _raw_claims(raw: bytes) -> Attack:
    return lambda forger: signed(forger.key, json.dumps(forger.header).encode(), raw)


def attacks() -> Iterator[tuple[str, Attack]]:
    """All of them, with names."""
    yield from _on_the_algorithm()
    yield from _on_the_header()
    yield from _on_the_claims()
    yield from _on_time()
    yield from _on_the_key()
    yield from _on_the_form()


def _on_the_algorithm() -> Iterator[tuple[str, Attack]]:
    for name in _ALGORITHMS:
        yield f"alg {name!r} rightly signed", _header("alg", name)
        yield f"alg {name!r} unsigned", _unsigned(name)
    for value in _ODD_VALUES:
        yield f"alg {value!r}"[:40], _header("alg", value)
    for digest, name in (("sha384", "HS384"), ("sha512", "HS512")):
        yield f"{name} told", _digest(digest, name)
        yield f"{name} hidden", _digest(digest, "HS256")


def _on_the_header() -> Iterator[tuple[str, Attack]]:
    for name, value in _HEADER_MEMBERS.items():
        yield f"header {name}", _header(name, value)
    for value in ("JWT", "at+JWT", "application/at+jwt", "rt+jwt", "", None, 1, ["at+jwt"], LEFT_OUT):
        yield f"typ {value!r}"[:40], _header("typ", value)
    for value in (*_KEY_IDS, LEFT_OUT):
        yield f"kid {value!r}"[:40], _header("kid", value)
    for raw in (b"[]", b"null", b'"HS256"', b"{", b"", b"\xff", b"{" * 90):
        yield f"header {raw!r}"[:30], _raw_header(raw)


def _on_the_claims() -> Iterator[tuple[str, Attack]]:
    for name in _CLAIMS:
        yield f"without {name}", _claim(name, LEFT_OUT)
    for name, values in _WRONG_CLAIMS.items():
        for value in values:
            yield f"{name} {value!r}"[:40], _claim(name, value)
    for name, member in _MORE_CLAIMS.items():
        yield f"claim {name}", _claim(name, member)
    for raw in (b"[]", b"null", b'"x"', b"{", b"", b"\xff", b'{"exp": NaN}', b"[" * 2000, b"9" * 2500):
        yield f"claims {raw!r}"[:30], _raw_claims(raw)


def _on_time() -> Iterator[tuple[str, Attack]]:
    yield "issued in an hour", lambda f: f.token(claims={"iat": int(time.time()) + 3600})
    yield "issued in milliseconds", lambda f: f.token(claims={"iat": int(time.time()) * 1000})
    yield "not before in a minute", lambda f: f.token(claims={"nbf": int(time.time()) + 60})


def _on_the_key() -> Iterator[tuple[str, Attack]]:
    yield "empty key", lambda f: f.token(key=b"")
    yield "the secret itself", lambda f: f.token(key=f.secret.encode())
    yield "the key of refresh tokens", lambda f: f.token(key=Keyring([f.secret]).keys("refresh-token")[0])
    yield "the key of cursors", lambda f: f.token(key=Keyring([f.secret]).keys("cursor")[0])
    yield "the key id as key", lambda f: f.token(key=f.header["kid"].encode())
    yield "another server's key", lambda f: Forger("x" + f.secret, f.user_id, f.session_id).token()
    yield "signature of zeros", lambda f: _with_signature(f.token(), encoded(bytes(32)))
    yield "no signature", lambda f: _with_signature(f.token(), "")
    yield "signature of another token", lambda f: _with_signature(f.token(), f.token().rpartition(".")[2])


def _on_the_form() -> Iterator[tuple[str, Attack]]:
    yield "padded", lambda f: f.token() + "="
    yield "last character with unused bits", lambda f: _with_unused_bits(f.token())
    yield "white space inside", lambda f: f.token().replace(".", ". ", 1)
    yield "line break inside", lambda f: f.token().replace(".", "\n.", 1)
    yield "null inside", lambda f: f.token().replace(".", "\x00.", 1)
    yield "standard alphabet", _in_standard_alphabet
    yield "two parts", lambda f: f.token().rpartition(".")[0]
    yield "four parts", lambda f: f.token() + ".x"
    yield "five parts", lambda f: f.token() + ".x.x"
    yield "dots only", lambda _: ".."
    yield "empty", lambda _: "."
    yield "not ASCII", lambda f: f.token() + "é"
    yield "full-width", lambda f: f.token().replace("e", "ｅ", 1)
    yield "over 4 KB", lambda f: f.token(claims={"jti": "x" * 4096})
    yield "64 KB", lambda _: "a." * 32_768
    yield "long header", lambda f: f.token(header={"kid": "x" * 300})


def _with_signature(token: str, signature: str) -> str:
    return f"{token.rpartition('.')[0]}.{signature}"


def _with_unused_bits(token: str) -> str:
    """Another spelling of the same bytes: 43 characters have two bits that belong to nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def _in_standard_alphabet(forger: Forger) -> str:
    """`+` and `/` instead of `-` and `_`, which a lenient decoder takes too."""
    while True:
        token = forger.token()
        _, _, signature = token.rpartition(".")
        if "-" in signature or "_" in signature:
            return _with_signature(token, signature.replace("-", "+").replace("_", "/"))
