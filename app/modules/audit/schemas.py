"""What is asked of the logs, and what they answer."""

from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from app.core.evidence.canonical import Stream
from app.core.pagination import PLAIN_DIGITS, Flag
from app.core.text import Text
from app.modules.audit.models import Question

Action = Literal["INSERT", "UPDATE", "DELETE", "BULK"]
Origin = Literal["request", "background", "cli", "migration", "job"]
Outcome = Literal["ok", "denied", "client_error", "server_error", "aborted", "rejected"]
StatusClass = Literal["1xx", "2xx", "3xx", "4xx", "5xx"]
Order = Literal["desc", "asc"]
Bucket = Literal["minute", "hour", "day"]
GroupBy = Literal["action", "entity", "actor", "status_class", "route", "outcome"]
Format = Literal["jsonl", "csv"]


def _one_spelling(value: str) -> str:
    """A UUID in the spelling of the log; every other id as it is."""
    try:
        return str(UUID(value)) if len(value) == len(str(UUID(int=0))) else value
    except ValueError:
        return value


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value, strict=False) if "/" in value else ip_address(value)
    except ValueError:
        raise ValueError("must be an address, or a network such as 192.0.2.0/24") from None


Id = Annotated[Text, AfterValidator(_one_spelling)]
Address = Annotated[
    IPv4Address | IPv6Address | IPv4Network | IPv6Network,
    BeforeValidator(_address),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.7", "2001:db8::/32"]}),
]
Short = Annotated[Text, Field(max_length=256)]


class Filters(BaseModel):
    """What both logs can be asked for. All filters have to fit; names that nobody knows are refused by the guard."""

    model_config = ConfigDict(frozen=True)

    actor_id: Annotated[Id, Field(max_length=64)] | None = None
    actor_type: Annotated[Text, Field(max_length=16)] | None = None
    request_id: Annotated[Text, Field(max_length=64)] | None = None

    def given(self) -> dict[str, Any]:
        """The filters that were sent, by the name of their parameter."""
        known = AccessFilters.model_fields.keys() | ChangeFilters.model_fields.keys()
        sent = {name: getattr(self, name) for name in sorted(self.model_fields_set & known)}
        return {name: value for name, value in sent.items() if value not in (None, [])}

    def asked_of(self, stream: Stream, span: "Span") -> Question:
        """The whole question."""
        return Question(stream, {**self.given(), **span.given()})


class AccessFilters(Filters):
    """What requests can be asked for."""

    method: Annotated[Text, Field(max_length=16)] | None = None
    route: Annotated[Short, Field(description="The template, such as `/api/v1/users/{user_id}`.")] | None = (
        None
    )
    path_prefix: Annotated[Text, Field(max_length=1024)] | None = None
    status: Annotated[int, Field(ge=100, le=599), PLAIN_DIGITS] | None = None
    status_class: StatusClass | None = None
    outcome: Outcome | None = None
    ip: Annotated[Address, Field(description="An address, or a network in CIDR notation.")] | None = None
    min_duration_ms: Annotated[int, Field(ge=0), PLAIN_DIGITS] | None = None
    module: Annotated[Text, Field(max_length=64)] | None = None
    include_probes: Annotated[
        Flag, Field(description="`false` leaves out health, readiness and metrics.")
    ] = True


class ChangeFilters(Filters):
    """What changes can be asked for."""

    entity: Annotated[Text, Field(max_length=64, description="The name of the table.")] | None = None
    entity_id: Annotated[Id, Field(max_length=255)] | None = None
    action: Annotated[list[Action], Field(max_length=4, description="May be sent more than once.")] = []
    field: Annotated[Short, Field(description="Among the changed ones.")] | None = None
    tx_id: UUID | None = None
    origin: Origin | None = None


class Paging(BaseModel):
    """How to walk through a log."""

    order: Order = "desc"
    limit: Annotated[int, Field(ge=1, le=1000), PLAIN_DIGITS] = 50
    cursor: Annotated[str, Field(max_length=4000, description="`next_cursor` of the last answer.")] | None = (
        None
    )


class Span(BaseModel):
    """From when, inclusive, and up to when, exclusive. Apart from the filters, since `from` is a word of Python's."""

    since: datetime | None
    until: datetime | None

    def given(self) -> dict[str, Any]:
        """The ends that were sent, by the name of their parameter."""
        ends = {"from": self.since, "to": self.until}
        return {name: end for name, end in ends.items() if end is not None}


class AccessQuery(AccessFilters, Paging):
    """A page of the access log."""


class ChangeQuery(ChangeFilters, Paging):
    """A page of the change log."""


class HistoryQuery(Paging):
    """A page of a record's changes, the oldest first."""

    order: Order = "asc"


class StreamFilters(AccessFilters, ChangeFilters):
    """One of the logs, with its own filters."""

    stream: Stream

    @model_validator(mode="after")
    def _fit(self) -> Self:
        known = AccessFilters if self.stream == "access" else ChangeFilters
        if strange := sorted(self.given().keys() - known.model_fields.keys()):
            raise ValueError(f"this log has no {', '.join(strange)}")
        return self


class ExportQuery(StreamFilters):
    """A whole log as a file."""

    format: Format = "jsonl"


class StatsQuery(StreamFilters):
    """A log as numbers."""

    bucket: Bucket = "hour"
    group_by: GroupBy | None = None

    @model_validator(mode="after")
    def _groups(self) -> Self:
        own = {
            "access": ("actor", "status_class", "route", "outcome"),
            "changes": ("actor", "action", "entity"),
        }
        if self.group_by is not None and self.group_by not in own[self.stream]:
            raise ValueError(f"this log can be grouped by {', '.join(own[self.stream])}")
        return self


def encoded(answer: object) -> bytes:
    """JSON as the API writes it: instants in UTC with `Z`."""
    return orjson.dumps(answer, default=str, option=orjson.OPT_UTC_Z)


class Actor(BaseModel):
    """Who did it. `label` is the e-mail address: the present one, of purged users the last."""

    type: str
    id: str | None
    label: str | None


class AccessRow(BaseModel):
    """One request."""

    id: int
    occurred_at: datetime
    request_id: str
    actor: Actor
    auth_method: str | None
    session_id: UUID | None
    api_key_id: UUID | None
    client_ip: str | None
    user_agent: str | None
    method: str
    path: str
    route: str | None
    query: dict[str, Any] | None
    status: int
    outcome: Outcome
    duration_ms: float
    request_bytes: int | None
    response_bytes: int | None
    module: str | None
    operation: str | None
    privilege: str | None
    error_class: str | None


class ChangeRow(BaseModel):
    """One change of one row."""

    id: int
    occurred_at: datetime
    tx_id: UUID
    tx_seq: int
    request_id: str | None
    origin: Origin
    actor: Actor
    action: Action
    cause: str | None
    entity: str
    entity_id: str
    changed: list[str]
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    truncated: bool
    redacted: bool
    reason: str | None


class LogPage(BaseModel):
    """What pages of both logs share. No row of the walk has an id above `horizon_id`."""

    next_cursor: str | None
    horizon_id: int


class AccessPage(LogPage):
    """A page of requests."""

    items: list[AccessRow]


class ChangePage(LogPage):
    """A page of changes."""

    items: list[ChangeRow]


class Transaction(BaseModel):
    """What was committed together."""

    tx_id: UUID
    changes: list[ChangeRow]


class Story(BaseModel):
    """All that is known of a request id. `complete` is false where it is too long for one answer."""

    request_id: str
    access: list[AccessRow]
    transactions: list[Transaction]
    complete: bool
