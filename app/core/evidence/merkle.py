"""Merkle trees over lines, as in RFC 6962 section 2.1: leaf = SHA-256(0x00 || line), node = SHA-256(0x01 || l || r)."""

from hashlib import sha256
from struct import Struct

EMPTY_ROOT = sha256(b"").digest()
LEAF = Struct(">q8s")  # of an index of leaves: a row's id, and the beginning of its leaf


def leaf_of(line: bytes) -> bytes:
    """The hash of one line, 32 bytes."""
    return sha256(b"\x00" + line).digest()


class MerkleTree:
    """Takes leaves one by one and keeps only the roots of full subtrees: memory grows with the logarithm."""

    def __init__(self) -> None:
        """The empty tree, whose root is the hash of nothing."""
        self.count = 0
        self._roots: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """The next leaf, in the order of ids."""
        self.count += 1
        full = self.count
        while full % 2 == 0:  # two subtrees of the same size make one
            leaf = _node(self._roots.pop(), leaf)
            full //= 2
        self._roots.append(leaf)

    @property
    def root(self) -> bytes:
        """Of the leaves so far, 32 bytes."""
        if not self._roots:
            return EMPTY_ROOT
        *rest, root = self._roots
        for left in reversed(rest):
            root = _node(left, root)
        return root


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
