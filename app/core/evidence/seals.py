"""A seal as a value: what it says, what it hashes to, and who signed it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from app.core.evidence.canonical import (
    Stream,
    encoded,
    instant_of,
    instant_text,
    readable_instant,
    sqlite_instant,
)
from app.core.evidence.signing import SealKey, is_signed, key_id

NO_HASH = "0" * 64
# Not hashed: they are made of the hash.
_OUTSIDE = {"seal_hash", "key_id", "signature", "next_signature"}
_INSTANTS = ("min_at", "max_at", "sealed_at")
_NEVER = datetime.min.replace(tzinfo=UTC)
_FORGED: Mapping[type, Any] = {str: "?", int: -1, datetime: _NEVER}


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of a log's chain. Hashes, keys and signatures are hexadecimal digits, lower case.

    `leaves_hash`: SHA-256 over the index of leaves. `prev_hash`: the hash of the seal before, zeros for the first.
    `next_public_key`: only in a seal that hands over to another key, which both keys sign.
    """

    stream: Stream
    number: int
    form: int
    first_id: int
    last_id: int
    row_count: int
    min_at: datetime | None
    max_at: datetime | None
    merkle_root: str
    leaves_hash: str
    prev_hash: str
    sealed_at: datetime
    public_key: str | None = None
    next_public_key: str | None = None
    seal_hash: str = ""
    key_id: str | None = None
    signature: str | None = None
    next_signature: str | None = None

    def digest(self) -> str:
        """What the seal hashes to: SHA-256 of its canonical JSON without hash and signatures."""
        told = {name: value for name, value in self.told().items() if name not in _OUTSIDE}
        return sha256(encoded(told)).hexdigest()

    def signed(self, key: SealKey | None, successor: SealKey | None = None) -> Self:
        """The seal with its hash and signatures. `successor`: the key that takes over."""
        keyed = replace(
            self,
            public_key=key.public if key else None,
            next_public_key=successor.public if successor else None,
        )
        digest = keyed.digest()
        return replace(
            keyed,
            seal_hash=digest,
            key_id=key_id(key.public) if key else None,
            signature=key.sign(digest) if key else None,
            next_signature=successor.sign(digest) if successor else None,
        )

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            name: instant_text(value) if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From JSON, or from the columns of a row. Raises ValueError."""
        try:
            values = {name: told[name] for name in cls.__slots__}
            for name in _INSTANTS:
                if isinstance(values[name], str):
                    values[name] = instant_of(values[name])
        except KeyError as error:
            raise ValueError(f"no seal: {error}") from None
        wrong = [name for name, value in values.items() if type(value) not in _types()[name]]
        if wrong:
            raise ValueError(f"no seal: {wrong[0]}")
        return cls(**values)

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        """From a row as the driver gives it, in the order of `__slots__`.

        What is of a wrong type there was forged, and becomes a value that no seal has: then its hash doesn't fit.
        """
        values = dict(zip(cls.__slots__, row, strict=True))
        for name in _INSTANTS:
            if isinstance(values[name], str):
                values[name] = readable_instant(sqlite_instant(values[name])) or _NEVER
            elif isinstance(values[name], datetime):
                values[name] = values[name].replace(tzinfo=UTC)
        for name, value in values.items():
            if type(value) not in _types()[name]:
                values[name] = _FORGED[_types()[name][0]]
        return cls(**values)

    @property
    def is_signed(self) -> bool:
        """Whether it bears a signature, right or wrong."""
        return self.signature is not None

    def signature_fits(self) -> bool:
        """Whether its own key signed it, and the key that takes over, if one does."""
        if self.public_key is None or self.signature is None:
            return False
        if not is_signed(self.public_key, self.seal_hash, self.signature):
            return False
        if self.key_id != key_id(self.public_key):
            return False
        if self.next_public_key is None:
            return self.next_signature is None
        return is_signed(self.next_public_key, self.seal_hash, self.next_signature or "")


@cache
def _types() -> Mapping[str, tuple[type, ...]]:
    """What each field may be, the first one first."""
    hints = get_type_hints(Seal)
    return {field.name: _plain(hints[field.name]) for field in fields(Seal)}


def _plain(hint: Any) -> tuple[type, ...]:
    if get_origin(hint) is Literal:
        return (str,)
    return get_args(hint) or (hint,)
