"""Kinds of text that bodies and queries may hold. Every one has a length limit and no NUL."""

import unicodedata
from typing import Annotated
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

EMAIL_LENGTH = 254  # RFC 5321 4.5.3.1.3
URL_LENGTH = 2000
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Letters and marks that are shown as nothing (Unicode's Default_Ignorable_Code_Point, beyond the above).
_IGNORABLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810)))
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


def _without_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain NUL")
    return value


def _visible(value: str) -> str:
    """Names take no control, bidi or zero-width characters (UTS 36): two that look alike must be alike."""
    if any(unicodedata.category(char) in _INVISIBLE or char in _IGNORABLE for char in value):
        raise ValueError("must not contain control or invisible characters")
    return unicodedata.normalize("NFKC", value).strip()


def _of_a_person(value: str) -> str:
    """As `_visible`, but joiners are letters of many scripts: a Persian name without them is misspelt."""
    _visible(value.replace(_NON_JOINER, "").replace(_JOINER, ""))
    return unicodedata.normalize("NFKC", value).strip()


def canonical_email(value: str) -> str:
    """The one form of an address: trimmed, NFKC, lower case. Raises ValueError for what is no address.

    Not case-folded: that would write `groß@` as `gross@`, which may be somebody else's mailbox (CVE-2019-19844).
    """
    text = unicodedata.normalize("NFKC", value.strip())
    try:
        parsed = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError("must be an e-mail address") from error
    address = parsed.normalized.lower()
    if len(address) > EMAIL_LENGTH:
        raise ValueError(f"must be at most {EMAIL_LENGTH} characters")
    return address


def _email(value: object) -> object:
    return canonical_email(value) if isinstance(value, str) and len(value) <= 2 * EMAIL_LENGTH else value


def _link(value: str) -> str:
    """An absolute address of the web, as it was sent: `javascript:` and its kin never become a link."""
    wrong = "must be an address that begins with http:// or https://"
    if any(char.isspace() or unicodedata.category(char) in _INVISIBLE for char in value):
        raise ValueError(wrong)
    try:
        url = urlsplit(value)
        is_link = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:  # brackets that don't close, a port that is no number
        raise ValueError(wrong) from None
    if not is_link:
        raise ValueError(wrong)
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
# Limits of length stand behind the normal form, which can be longer than what was sent.
PersonName = Annotated[str, AfterValidator(_of_a_person)]
Name = Annotated[str, AfterValidator(_visible), Field(min_length=1, max_length=100)]
Email = Annotated[
    str,
    Field(max_length=EMAIL_LENGTH, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    BeforeValidator(_email),
]
Url = Annotated[
    str,
    Field(max_length=URL_LENGTH, examples=["https://example.com/"], json_schema_extra={"format": "uri"}),
    AfterValidator(_link),
]
Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_without_nul),
]
Paragraphs = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_without_nul)
]
# Why something is done, kept with it: as long as the change log's own `reason` may be.
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=256),
    AfterValidator(_without_nul),
]
Question = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_nul)]
