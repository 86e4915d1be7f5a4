"""Whose request it is: the peer's address, or what configured proxies say of it."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import Scope


class ClientAddress:
    """Walks `X-Forwarded-For` from the right as long as the sender is a trusted proxy; else the peer counts."""

    def __init__(self, trusted: Sequence[str]) -> None:
        """`trusted`: networks or addresses; `*` trusts every peer (development only)."""
        networks = ["0.0.0.0/0", "::/0"] if "*" in trusted else trusted
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(n, strict=False) for n in networks]

    def of(self, scope: Scope) -> str | None:
        """The client's address, canonical; None where the transport has none."""
        peer = _parsed(scope["client"][0]) if scope.get("client") else None
        if peer is None or not self._trusted or not self._is_trusted(peer):
            return peer
        chain = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        client = peer
        for hop in reversed(chain.decode("latin-1").split(",") if chain else []):
            address = _parsed(hop.strip())
            if address is None:
                return client
            client = address
            if not self._is_trusted(client):
                return client
        return client

    def _is_trusted(self, address: str) -> bool:
        parsed = ip_address(address)
        return any(parsed.version == network.version and parsed in network for network in self._trusted)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def network_of(address: str | None) -> str:
    """What throttles count: an IPv4 address, or the /64 of an IPv6 one, of which a client has 2^64; `-` for none."""
    if address is None:
        return "-"
    if ":" not in address:
        return address
    return str(
        ip_network(f"{address.partition('%')[0]}/64", strict=False)
    )  # behind % is the peer's interface


def is_local(scope: Scope, client_ip: str | None) -> bool:
    """Whether the client is on loopback or a private network, and nobody passed the request on for others."""
    if client_ip is None:
        return False
    peer = scope["client"][0] if scope.get("client") else None
    forwarded = any(name in {b"x-forwarded-for", b"forwarded"} for name, _ in scope["headers"])
    return ip_address(client_ip).is_private and not (forwarded and client_ip == _parsed(str(peer)))
