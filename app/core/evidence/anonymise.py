"""Rows for archives without whole addresses. Each line then carries the leaf of the row that was sealed.

Count, order and seals still verify by these leaves; that the rest of the line is the row, only the manifest says.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

import orjson

from app.core.evidence.canonical import Line, encoded
from app.core.evidence.merkle import leaf_of

LEAF_KEY = "$leaf"  # sorts before all columns
_BEGINNING = b'{"$leaf":"'
_HEX = 64
_KEPT_V4, _KEPT_V6 = 3, 6  # bytes: /24 and /48


def anonymised(line: Line) -> Line:
    """The line with its addresses truncated to /24 or /48, without the chain of proxies, and with its leaf."""
    row: dict[str, Any] = orjson.loads(line.data)
    for name in ("client_ip", "peer_ip"):
        if name in row:
            row[name] = _network(row[name]) if isinstance(row[name], str) else None
    if "forwarded_for" in row:
        row["forwarded_for"] = None
    return line._replace(data=encoded({LEAF_KEY: leaf_of(line.data).hex(), **row}))


def sealed_leaf(data: bytes) -> bytes:
    """The leaf in an anonymised line, 32 bytes. Raises ValueError where there is none."""
    end = len(_BEGINNING) + _HEX
    if not data.startswith(_BEGINNING) or data[end : end + 1] != b'"':
        raise ValueError("an anonymised line without its leaf")
    return bytes.fromhex(data[len(_BEGINNING) : end].decode())


@lru_cache(maxsize=10_000)
def _network(text: str) -> str | None:
    """Its first address; None of what is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_address(address.packed[:_KEPT_V6] + bytes(16 - _KEPT_V6)))
        address = address.ipv4_mapped
    return str(ip_address(address.packed[:_KEPT_V4] + bytes(1)))
