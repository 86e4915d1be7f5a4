"""What lies beside the files of an archive: canonical JSON that carries its own hash, and a signature over it."""

from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from typing import Any, ClassVar, Self

from pydantic import TypeAdapter

from app.core.evidence.canonical import encoded
from app.core.evidence.signing import SealKey, is_signed, key_id

FORMAT = 1
_SIGNATURE = frozenset({"key_id", "signature"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A subclass names itself (`NOUN`), and its field that has the hash (`HASH`). All is hexadecimal digits."""

    NOUN: ClassVar[str]
    HASH: ClassVar[str]

    format: int = FORMAT
    public_key: str | None = None
    key_id: str | None = None
    signature: str | None = None

    def digest(self) -> str:
        """SHA-256 of the canonical content without hash and signature."""
        outside = _SIGNATURE | {self.HASH}
        return sha256(
            encoded({name: value for name, value in asdict(self).items() if name not in outside})
        ).hexdigest()

    def signed(self, key: SealKey | None) -> Self:
        """With its hash, and with a signature where there is a key."""
        keyed = replace(self, public_key=key.public if key else None)
        digest = keyed.digest()
        fields: dict[str, Any] = {
            self.HASH: digest,
            "key_id": key.id if key else None,
            "signature": key.sign(digest) if key else None,
        }
        return replace(keyed, **fields)

    def data(self) -> bytes:
        """The file: one object of canonical JSON, with an end of line."""
        return encoded(asdict(self)) + b"\n"

    def faults(self) -> list[str]:
        """What is wrong with the document itself, in words; whose key it is, is another question."""
        found = []
        told: str = getattr(self, self.HASH)
        if self.digest() != told:
            found.append(f"the {self.NOUN} was altered")
        if self.signature is None:
            if self.public_key is not None or self.key_id is not None:
                found.append(f"the {self.NOUN}'s signature was removed")
        elif not self._signature_fits(told):
            found.append(f"the {self.NOUN}'s signature does not fit")
        return found

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the file. Raises ValueError for what is no such document, or not written as this program writes it."""
        try:
            found: Self = _reader(cls).validate_json(data, strict=True)  # type: ignore[arg-type]  # a class is hashable
            is_ours = found.data() == data
        except (
            ValueError,
            TypeError,
        ):  # the reader's words are many lines; TypeError: numbers beyond 64 bits
            raise ValueError(f"it is no {cls.NOUN}") from None
        if found.format != FORMAT:
            raise ValueError(f"format {found.format} is not known to this program")
        if not is_ours:
            raise ValueError(f"it is not written as a {cls.NOUN} is")
        return found

    def _signature_fits(self, told: str) -> bool:
        public, signature = self.public_key, self.signature
        try:
            return bool(public and signature) and (
                self.key_id == key_id(public or "") and is_signed(public or "", told, signature or "")
            )
        except ValueError:  # a key that isn't hexadecimal digits
            return False


@cache
def _reader(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
