"""What is asked of the programs. Standard library only: the command line lists it before `.venv` exists."""

import json
from dataclasses import dataclass

OURS, BARE = "tessera", "bare"
ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "measured-and-thrown-away"  # noqa: S105  of a database that lives for minutes
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Subject:
    """The rows that requests are about."""

    item_ids: tuple[str, ...]
    user_id: str
    user_pk: int


@dataclass(frozen=True, slots=True)
class Load:
    """Requests of one kind, sent one path after the other. `{n}` in the body: a number that never comes twice."""

    method: str
    paths: tuple[str, ...]
    headers: dict[str, str]
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request. `{item}` and `{user}` in a path stand for public ids.

    `least_seconds`: shorter turns would say nothing, because each answer takes long.
    """

    name: str
    ours: str
    bare: str = ""
    body: str | None = None
    status: int = 200
    method: str = "GET"
    least_seconds: int = 1

    def load(self, program: str, subject: Subject, token: str) -> Load:
        """The requests for this program; the bare one needs no token."""
        path = (self.bare if program == BARE else self.ours).replace("{user}", subject.user_id)
        paths = [path.replace("{item}", id) for id in subject.item_ids] if "{item}" in path else [path]
        headers = {} if program == BARE else {"Authorization": f"Bearer {token}"}
        if self.body is not None:
            headers |= _JSON
        return Load(self.method, tuple(paths), headers, self.body)


# Those that write come last, so that the lists of a run count the same rows; `login` ends the oldest sessions of
# its account, so that nobody's token is good after it.
OPERATIONS = (
    Operation("one", "/api/v1/items/{item}", "/items/{item}"),
    Operation("list", "/api/v1/items?per_page=100", "/items?per_page=100"),
    Operation("list1000", "/api/v1/items?per_page=1000", "/items?per_page=1000"),
    Operation("me", "/api/v1/users/me", "/users/{user}"),
    Operation(
        "create",
        "/api/v1/items",
        "/items",
        body=json.dumps({"title": "A measured item", "description": "Made by the benchmark."}),
        status=201,
        method="POST",
    ),
    Operation(
        "update",
        "/api/v1/items/{item}",
        body='{"title": "Changed by the benchmark, time {n}"}',
        method="PATCH",
    ),
    Operation(
        "login",
        "/api/v1/auth/login",
        "/login",
        body=json.dumps({"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}),
        method="POST",
        least_seconds=10,
    ),
)
AUDIT_NAMES = ("one", "list", "create", "update")
# The bare app changes nothing: what a change costs is told of the program alone.
NAMES = tuple(operation.name for operation in OPERATIONS if operation.bare)


def chosen(names: tuple[str, ...]) -> list[Operation]:
    """The operations with these names, those that write last."""
    return [operation for operation in OPERATIONS if operation.name in names]
