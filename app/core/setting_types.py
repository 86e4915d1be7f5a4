"""Kinds of values that settings take. What can't be read is refused in words that never repeat the value."""

from email.utils import getaddresses
from functools import cache
from ipaddress import ip_network
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {"sqlite+aiosqlite", "postgresql+asyncpg"}
ANCHORS = {"", "file", "stdout", "s3", "gs", "az"}


class Rate(NamedTuple):
    """So many in so many seconds."""

    amount: int
    seconds: int


@cache
def rate_of(text: str) -> Rate | None:
    """`100/minute` as numbers; None for an empty text. Raises ValueError."""
    if not text:
        return None
    from limits import parse_many  # noqa: PLC0415  100 ms, and most programs never set a rate

    try:
        (item,) = parse_many(text)
    except ValueError:
        item = None
    if item is None or item.amount < 1:
        raise ValueError("must be empty or one rate, such as 100/minute")
    return Rate(item.amount, item.get_expiry())


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for part in value:
        try:
            ip_network("::/0" if part == "*" else part, strict=False)
        except ValueError:  # whose message repeats what was set
            raise ValueError("must be addresses or networks, such as 10.0.0.0/8") from None
    return value


def _database(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError as error:
        raise ValueError("is not a database URL") from error
    if url.drivername not in DRIVERS:
        raise ValueError(f"must start with one of {', '.join(sorted(DRIVERS))}")
    return value


def _redis(value: str) -> str:
    if value and not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must be empty or a redis://, rediss:// or unix:// URL")
    return value


def _rate(value: str) -> str:
    rate_of(value)
    return value


def _base(value: str) -> str:
    url = urlsplit(value)
    if value and (url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment):
        raise ValueError("must be empty or an address, such as https://api.example.com")
    return value.rstrip("/")


def _smtp(value: str) -> str:
    url, wrong = urlsplit(value), "must be empty or a smtp:// or smtps:// URL"
    try:
        _ = url.port  # of what is no number, or too large, urlsplit says so only here
    except ValueError:
        raise ValueError(wrong) from None
    if value and (url.scheme not in {"smtp", "smtps"} or not url.hostname):
        raise ValueError(wrong)
    return value


def _sender(value: str) -> str:
    addresses = getaddresses([value]) if value else []
    if value and (len(addresses) != 1 or "@" not in addresses[0][1]):
        raise ValueError("must be empty or a sender, such as Example <noreply@example.com>")
    return value


def _address(value: str) -> str:
    if "@" not in value:
        raise ValueError("must be an e-mail address")
    return value


def _anchor(value: str) -> str:
    if value and urlsplit(value).scheme not in ANCHORS:
        raise ValueError("must be empty, a file, stdout:, or an object store such as s3://bucket/prefix")
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[CommaList, AfterValidator(_networks)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
CacheUrl = Annotated[str, AfterValidator(_redis)]
RateText = Annotated[str, AfterValidator(_rate)]
BaseUrl = Annotated[str, AfterValidator(_base)]
SmtpUrl = Annotated[str, AfterValidator(_smtp)]
Sender = Annotated[str, AfterValidator(_sender)]
AnchorUri = Annotated[str, AfterValidator(_anchor)]
EmailAddress = Annotated[str, AfterValidator(_address)]
