"""The key that signs seals and manifests (Ed25519, RFC 8032), and the public keys that auditors trust."""

import os
import stat
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_END = b"-----END PUBLIC KEY-----"
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFault(ValueError):
    """A key file that can't be used; the text says why, and nothing of the key."""


class SealKey:
    """A private key. `public` is its public half: 32 bytes as 64 hexadecimal digits."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Of a key that is loaded."""
        self._private = private
        self.public = private.public_key().public_bytes_raw().hex()

    @property
    def id(self) -> str:
        """A short name for the key."""
        return key_id(self.public)

    def sign(self, digest: str) -> str:
        """The signature of a hash that is given as hexadecimal digits; 128 of them."""
        return self._private.sign(bytes.fromhex(digest)).hex()


def key_id(public: str) -> str:
    """The first 16 hexadecimal digits of the public key's SHA-256."""
    return sha256(bytes.fromhex(public)).hexdigest()[:16]


def load_key(path: Path) -> SealKey:
    """The private key in a PEM file (PKCS 8, unencrypted). Raises KeyFault."""
    try:
        text, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise KeyFault(f"{path} can't be read: {error.strerror}") from None
    if mode & _OPEN_TO_OTHERS:
        raise KeyFault(f"{path} can be read by others; make it private: chmod 600 {path}")
    try:
        private = load_pem_private_key(text, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise KeyFault(f"{path} holds no unencrypted private key in PEM") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFault(f"{path} holds a key of another kind; it must be Ed25519")
    return SealKey(private)


def make_key(path: Path) -> Path:
    """Writes a new private key, readable by its owner only, and beside it the public one, which it returns.

    Raises FileExistsError where one of the files is there: a key that is overwritten can't be brought back.
    """
    private = Ed25519PrivateKey.generate()
    public_path = path.with_name(f"{path.name}.pub")
    if public_path.exists():  # before the private one is made, else that would be left alone
        raise FileExistsError(f"{public_path} is there already")
    for target, text, mode in (
        (path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600),
        (public_path, _public_pem(private.public_key()), 0o644),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    return public_path


def load_public_keys(paths: Iterable[Path]) -> frozenset[str]:
    """The public keys in PEM files, each of which may hold several. Raises KeyFault."""
    found: set[str] = set()
    for path in paths:
        try:
            blocks = path.read_bytes().split(_END)[:-1]
        except OSError as error:
            raise KeyFault(f"{path} can't be read: {error.strerror}") from None
        if not blocks:
            raise KeyFault(f"{path} holds no public key in PEM")
        found |= {_public(path, block + _END) for block in blocks}
    return frozenset(found)


def is_signed(public: str, digest: str, signature: str) -> bool:
    """Whether a signature fits. All three are hexadecimal digits; what is none doesn't fit."""
    try:
        key = Ed25519PublicKey.from_public_bytes(_bytes_of(public))
        key.verify(_bytes_of(signature), _bytes_of(digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def _bytes_of(digits: str) -> bytes:
    """Raises ValueError for all but one spelling: `fromhex` takes capitals and spaces too."""
    made = bytes.fromhex(digits)
    if made.hex() != digits:
        raise ValueError(digits)
    return made


def _public(path: Path, block: bytes) -> str:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFault(f"{path} holds something that is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFault(f"{path} holds a key of another kind; it must be Ed25519")
    return key.public_bytes_raw().hex()


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
