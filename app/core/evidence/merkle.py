"""Merkle trees over lines, as in RFC 6962 section 2.1: leaf = SHA-256(0x00 || line), node = SHA-256(0x01 || l || r)."""

from collections.abc import Iterable
from hashlib import sha256
from struct import Struct

EMPTY_ROOT = sha256(b"").digest()
LEAF = Struct(">q8s")  # of an index of leaves: a row's id, and the beginning of its leaf
_BLOCK = 1024  # leaves that become one root together: a power of two, so that it is that of a full subtree


def leaf_of(line: bytes) -> bytes:
    """The hash of one line, 32 bytes."""
    return sha256(b"\x00" + line).digest()


class MerkleTree:
    """Takes leaves; keeps the roots of full subtrees and less than a block. Memory grows with the logarithm."""

    def __init__(self) -> None:
        """The empty tree, whose root is the hash of nothing."""
        self._blocks = 0
        self._roots: list[bytes] = []
        self._rest: list[bytes] = []

    @property
    def count(self) -> int:
        """How many leaves it has."""
        return self._blocks * _BLOCK + len(self._rest)

    def add(self, leaf: bytes) -> None:
        """The next leaf, in the order of ids."""
        self._rest.append(leaf)
        if len(self._rest) == _BLOCK:
            self._fold()

    def extend(self, leaves: Iterable[bytes]) -> None:
        """The next leaves, in the order of ids."""
        self._rest.extend(leaves)
        while len(self._rest) >= _BLOCK:
            self._fold()

    def _fold(self) -> None:
        root, self._rest = _root_of(self._rest[:_BLOCK]), self._rest[_BLOCK:]
        self._blocks += 1
        full = self._blocks
        while full % 2 == 0:  # two subtrees of the same size make one
            root = _node(self._roots.pop(), root)
            full //= 2
        self._roots.append(root)

    @property
    def root(self) -> bytes:
        """Of the leaves so far, 32 bytes."""
        *rest, root = [*self._roots, *([_root_of(self._rest)] if self._rest else [])] or [EMPTY_ROOT]
        for left in reversed(rest):
            root = _node(left, root)
        return root


def _root_of(level: list[bytes]) -> bytes:
    """Pairs become nodes until one is left; who has no neighbour goes up alone."""
    while len(level) > 1:
        pairs = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = pairs + level[-1:] if len(level) % 2 else pairs
    return level[0]


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
