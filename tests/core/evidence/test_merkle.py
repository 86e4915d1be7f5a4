"""Trees against the recursive definition of RFC 6962, section 2.1."""

from hashlib import sha256

import pytest

from app.core.evidence.merkle import LEAF, MerkleTree, leaf_of

# Of the leaves below: the roots that implementations of Certificate Transparency publish in their tests.
_INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(lines: list[bytes]) -> bytes:
    """As the RFC writes it down."""
    if not lines:
        return sha256(b"").digest()
    if len(lines) == 1:
        return sha256(b"\x00" + lines[0]).digest()
    half = 1
    while half * 2 < len(lines):
        half *= 2
    return sha256(b"\x01" + naive_root(lines[:half]) + naive_root(lines[half:])).digest()


def root_of(lines: list[bytes]) -> bytes:
    tree = MerkleTree()
    for line in lines:
        tree.add(leaf_of(line))
    assert tree.count == len(lines)
    return tree.root


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    assert root_of(_INPUTS[:size]).hex() == _ROOTS[size]


def test_all_sizes_against_the_recursion() -> None:
    lines = [str(number).encode() for number in range(70)]
    for size in range(71):
        assert root_of(lines[:size]) == naive_root(lines[:size]), size


def test_the_root_may_be_asked_for_on_the_way() -> None:
    tree = MerkleTree()
    for number in range(9):
        tree.add(leaf_of(_INPUTS[number % 8]))
        assert tree.root == tree.root


@pytest.mark.parametrize("size", [1023, 1024, 1025, 3000, 4096])
def test_many_at_a_time_are_as_good_as_one_by_one(size: int) -> None:
    lines = [str(number).encode() for number in range(size)]
    leaves, tree = [leaf_of(line) for line in lines], MerkleTree()
    tree.extend(leaves[:700])
    tree.add(leaves[700])
    tree.extend(leaves[701:])
    assert (tree.count, tree.root) == (size, naive_root(lines))
    assert root_of(lines) == tree.root


def test_a_line_is_no_node_and_order_counts() -> None:
    node = leaf_of(b"a") + leaf_of(b"b")
    assert root_of([node]) != root_of([b"a", b"b"])
    assert root_of([b"a", b"b"]) != root_of([b"b", b"a"])


def test_an_index_takes_every_id() -> None:
    for id in (-(2**63), -1, 0, 2**63 - 1):
        assert LEAF.unpack(LEAF.pack(id, b"12345678")) == (id, b"12345678")
