"""The shipped list of common and breached passwords, and whether a password is in it.

The list is `compromised.bin`, beside this file. `scripts/build_password_list.py` makes it from the million most
common passwords of SecLists (MIT), Django's list of common passwords (BSD-3-Clause) and the long forms that people
make of such passwords; docs/decisions/0006-password-list.md says why these. Nothing is asked of a network.

It holds no texts but the first 48 bits of each entry's BLAKE2b, sorted and searched by halving, a few
microseconds each time. A password that is not in the list is taken for one that is with a probability of entries /
2^48: with 138,000 entries, once in 2,000 million.
"""

import hashlib
import struct
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PATH = Path(__file__).with_name("compromised.bin")
WIDTH = 6
MAGIC = b"PWLIST01"
_HEADER = struct.Struct(">8sI32s")  # magic, number of entries, SHA-256 of what follows


class DamagedList(RuntimeError):
    """The file is not what was shipped. Never a reason to take a password for a good one."""


@dataclass(frozen=True, slots=True)
class PasswordList:
    """A set of passwords, known by their fingerprints only; `in` asks for any spelling of case and width."""

    fingerprints: bytes

    @classmethod
    def of(cls, passwords: Iterable[str]) -> "PasswordList":
        """The list of these."""
        return cls(b"".join(sorted({fingerprint(password) for password in passwords})))

    @classmethod
    def parse(cls, content: bytes) -> "PasswordList":
        """The list in a file's content. Raises DamagedList."""
        header, body = content[: _HEADER.size], content[_HEADER.size :]
        if header != _header(body):
            raise DamagedList(
                "The list of compromised passwords is damaged; restore app/auth/compromised.bin."
            )
        return cls(body)

    def to_bytes(self) -> bytes:
        """The content of the file that holds this list."""
        return _header(self.fingerprints) + self.fingerprints

    def __len__(self) -> int:
        return len(self.fingerprints) // WIDTH

    def __contains__(self, password: str) -> bool:
        wanted = fingerprint(password)
        index = bisect_left(range(len(self)), wanted, key=self._at)
        return self._at(index) == wanted

    def _at(self, index: int) -> bytes:
        return self.fingerprints[index * WIDTH : (index + 1) * WIDTH]


def is_compromised(password: str) -> bool:
    """Whether the shipped list has this password. Raises DamagedList, or OSError where the file is missing."""
    return password in shipped()


@cache
def shipped() -> PasswordList:
    """The list of the file, which is read when the first password is checked, not when the program starts."""
    return PasswordList.parse(PATH.read_bytes())


def fingerprint(password: str) -> bytes:
    """What stands for a password: the same for its variants of case and width, which guessing tries as well."""
    folded = unicodedata.normalize("NFKC", password).casefold()
    return hashlib.blake2b(folded.encode(), digest_size=WIDTH).digest()


def _header(body: bytes) -> bytes:
    return _HEADER.pack(MAGIC, len(body) // WIDTH, hashlib.sha256(body).digest())
