"""What naive servers answer with 500, and the operations of the OpenAPI document to send it to."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

from tests.api import Api, Caller, assert_problem

CANARY = "canary7f3a9c"
JSON = {"Content-Type": "application/json"}
TOKEN = "/api/v1/auth/token"  # a form, with errors of its own
LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Operation:
    """One call of the API."""

    method: str
    path: str
    spec: dict[str, Any]
    schemas: dict[str, Any]

    def url(self, **values: str) -> str:
        """With ids that exist nowhere."""
        path = self.path
        for name in self.path_names:
            standard = "nothing:here" if name == "code" else str(uuid4())
            path = path.replace(f"{{{name}}}", values.get(name, standard))
        return path

    @property
    def path_names(self) -> list[str]:
        return [p["name"] for p in self.spec.get("parameters", []) if p["in"] == "path"]

    @property
    def query(self) -> dict[str, dict[str, Any]]:
        return {p["name"]: _plain(p["schema"]) for p in self.spec.get("parameters", []) if p["in"] == "query"}

    @property
    def has_json(self) -> bool:
        return "application/json" in self.spec.get("requestBody", {}).get("content", {})

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The fields of the body."""
        schema = _plain(self.spec["requestBody"]["content"]["application/json"]["schema"])
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        return {name: _plain(field) for name, field in schema["properties"].items()}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without null."""
    options: list[dict[str, Any]] = [o for o in schema.get("anyOf", [schema]) if o.get("type") != "null"]
    return options[0]


async def operations(api: Api) -> list[Operation]:
    document = (await api.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    found = [
        Operation(method.upper(), path, spec, schemas)
        for path, item in document["paths"].items()
        for method, spec in item.items()
    ]
    assert len(found) > 25
    return found


class Shooter:
    """Sends as the superuser, who gets furthest; asserts what every answer must be."""

    def __init__(self, api: Api, admin: Caller) -> None:
        self.api = api
        self.admin = admin
        transport = httpx2.ASGITransport(app=api.app.app, raise_app_exceptions=False, client=("127.0.0.1", 1))
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://test")
        self.shots = 0

    async def shoot(self, operation: Operation, url: str, allowed: set[int], **options: Any) -> None:
        headers = {**self.admin.headers, **options.pop("headers", {})}
        answer = await self.client.request(operation.method, url, headers=headers, **options)
        self.shots += 1
        where = (operation.method, url[:120], str(options)[:200], answer.text[:300])
        assert answer.status_code in allowed, (answer.status_code, where)
        assert CANARY not in answer.text, where
        if operation.path != TOKEN or answer.status_code != 400:
            assert_problem(answer, answer.status_code)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


UNREADABLE: dict[str, bytes] = {
    "cut off": f'{{"{CANARY}": "'.encode(),
    "not json": CANARY.encode(),
    "single quotes": b"{'a': 1}",
    "two documents": b"{}{}",
    "trailing comma": b'{"a": 1,}',
    "comment": b"{} // x",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "number of 4,400 digits after a sign": b'{"a": -' + b"0" * 4400 + b"}",
    "lone surrogate as value": f'{{"a": "\\ud800{CANARY}"}}'.encode(),
    "lone surrogate as key": f'{{"\\udfff{CANARY}": 1}}'.encode(),
    "surrogates in the wrong order": b'{"a": "\\udc00\\ud800"}',
    "raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "invalid UTF-8": b'{"a": "\xff\xfe"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "UTF-16": '{"a": "é"}'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32-le"),
    "BOM": b"\xef\xbb\xbf{}",
    "raw NUL": b'{"a": "\x00"}',
    "raw control character": b'{"a": "\x01"}',
    "only a NUL": b"\x00",
    "deep 100,000": nested(100_000),
    "deep objects 100,000": b'{"a":' * 100_000,
}
MISSHAPEN: dict[str, bytes] = {
    "null": b"null",
    "list": b"[]",
    "text": f'"{CANARY}"'.encode(),
    "number": b"5",
    "true": b"true",
    "unknown field": f'{{"{"x" * 8}": "{CANARY}"}}'.encode(),
    "privileged fields": b'{"id": 1, "pk": 1, "is_superuser": true, "deleted_at": null, "created_at": "x"}',
    "NUL in a key": f'{{"\\u0000": "{CANARY}"}}'.encode(),
    "prototype": b'{"__proto__": {"a": 1}, "constructor": 1}',
    "deep 1,000": nested(1000),
    "10,000 members": b"{" + b",".join(b'"k%d": 1' % n for n in range(10_000)) + b"}",
    "100,000 elements": b"[" + b",".join([b"1"] * 100_000) + b"]",
}
BIG = 10**30
HOSTILE: dict[str, str] = {
    "NUL": json.dumps(f"{CANARY}\x00"),
    "huge integer": str(BIG),
    "2**63": str(2**63),
    "4,400 digits": "9" * 4400,
    "huge float": "1e400",
    "negative": "-1",
    "fraction": "0.5",
    "true": "true",
    "object": f'{{"a": "{CANARY}"}}',
    "list in list": f'[["{CANARY}"]]',
    "list with NUL": f'["{CANARY}\\u0000"]',
    "list of huge integers": f"[{BIG}]",
    "long text": json.dumps(CANARY * 600),
}


def field_bodies(operation: Operation) -> Iterator[tuple[str, bytes]]:
    """Every field with every hostile value, the others as they should be."""
    good = {name: json.dumps(_good(field)) for name, field in operation.properties.items()}
    for name in good:
        for what, value in HOSTILE.items():
            members = ", ".join(f'"{n}": {v}' for n, v in {**good, name: value}.items())
            yield f"{name}: {what}", f"{{{members}}}".encode()


def _good(field: dict[str, Any]) -> Any:
    if field.get("type") == "array":
        return []
    return "someone@example.com" if field.get("format") == "email" else "abc"


NUMBERS = [
    "0",
    "-1",
    "1e3",
    "1_000",
    "+1",
    "٣",
    str(2**62),
    str(BIG),
    "9" * 4400,
    "NaN",
    "Infinity",
    CANARY,
    "0x10",
    "1\x00",
]
TEXTS = ["\x00", f"{CANARY}\x00", "x" * 5000]
IDS = [
    "1",
    "0",
    "-1",
    str(2**63),
    "9" * 4400,
    CANARY,
    "\x00",
    "null",
    "0198c0de-0000-7000-8000-00000000000g",
    "' OR 1=1 --",
]
FLAGS = ["1", "yes", "TRUE", CANARY, "", "\x00"]


def hostile_values(schema: dict[str, Any]) -> list[str]:
    if schema.get("type") in {"integer", "number"}:
        return [number for number in NUMBERS if number != "0" or schema.get("minimum", schema.get("ge")) != 0]
    if schema.get("type") == "boolean":
        return FLAGS
    return IDS if schema.get("format") == "uuid" else TEXTS
