"""What naive servers answer with 500, sent to every operation of the OpenAPI document: 4xx problems, no echo."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest

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


@pytest.fixture
async def shooter(api: Api) -> AsyncIterator[Shooter]:
    made = Shooter(api, await api.superuser())
    async with made.client:
        yield made


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


async def test_unreadable_bodies_are_400(shooter: Shooter) -> None:
    for operation in await operations(shooter.api):
        if operation.has_json:
            for body in UNREADABLE.values():
                await shooter.shoot(operation, operation.url(), {400}, content=body, headers=JSON)
    assert shooter.shots > 15 * len(UNREADABLE)


async def test_misshapen_bodies_are_4xx(shooter: Shooter) -> None:
    for operation in await operations(shooter.api):
        if operation.has_json:
            optional = not operation.spec["requestBody"].get("required", False)
            for name, body in MISSHAPEN.items():
                if name == "null" and optional:
                    continue
                await shooter.shoot(operation, operation.url(), {422}, content=body, headers=JSON)
    assert shooter.shots > 15 * (len(MISSHAPEN) - 1)


async def test_hostile_fields_are_4xx(shooter: Shooter) -> None:
    """Never what a database has no place for; and what is refused leaves nothing behind."""
    before = (await shooter.admin.get("users")).json()["total"]
    for operation in await operations(shooter.api):
        if operation.has_json:
            for _, body in field_bodies(operation):
                allowed = {400, 404, 422}
                await shooter.shoot(operation, operation.url(), allowed, content=body, headers=JSON)
    assert shooter.shots > 300
    assert (await shooter.admin.get("users")).json()["total"] == before


async def test_empty_body_is_422(shooter: Shooter) -> None:
    for operation in await operations(shooter.api):
        if operation.has_json and operation.spec["requestBody"].get("required"):
            await shooter.shoot(operation, operation.url(), {422}, headers=JSON)
            await shooter.shoot(operation, operation.url(), {422}, content=b"", headers=JSON)


KINDS = [
    "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/json; charset=utf-16", 'application/json;charset="iso-8859-1"', "application/jsonx", "json", "*/*",
    "text/json", "application/+json/x", "application/octet-stream",
]  # fmt: skip


async def test_foreign_bodies_are_415(shooter: Shooter) -> None:
    body = f'{{"email": "{CANARY}"}}'.encode()
    for operation in await operations(shooter.api):
        if operation.has_json:
            for kind in KINDS:
                await shooter.shoot(operation, operation.url(), {415}, content=body, headers={"Content-Type": kind})
            await shooter.shoot(operation, operation.url(), {415}, content=body)
    token = next(o for o in await operations(shooter.api) if o.path == TOKEN)
    await shooter.shoot(token, TOKEN, {415}, content=body, headers=JSON)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", "application/json; charset=utf-8",
                                  'application/json;charset="UTF-8"', "application/merge-patch+json"])  # fmt: skip
async def test_json_under_its_own_name_is_read(api: Api, kind: str) -> None:
    user = await api.user()
    answer = await user.call("PATCH", "users/me", content=b'{"full_name": "Ada"}', headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["full_name"]) == (200, "Ada")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "zstd", "nonsense"])
async def test_encoded_bodies_are_415(shooter: Shooter, encoding: str) -> None:
    body = b"\x1f\x8b" + bytes(200)
    for operation in await operations(shooter.api):
        if operation.has_json:
            headers = {**JSON, "Content-Encoding": encoding}
            await shooter.shoot(operation, operation.url(), {415}, content=body, headers=headers)


async def test_identity_is_no_encoding(api: Api) -> None:
    user = await api.user()
    answer = await user.patch("users/me", {"full_name": "Ada"}, headers={"Content-Encoding": "identity"})
    assert answer.status_code == 200


async def test_oversized_bodies_are_413(shooter: Shooter) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 65536):
            yield b"x" * 65536
        yield b"x" * (size % 65536)

    for operation in await operations(shooter.api):
        if operation.has_json or operation.path == TOKEN:
            url = operation.url()
            await shooter.shoot(operation, url, {413}, content=b"x" * (LIMIT + 1), headers=JSON)
            await shooter.shoot(operation, url, {413}, content=chunks(LIMIT + 1), headers=JSON)
            await shooter.shoot(operation, url, {413}, content=b"", headers={**JSON, "Content-Length": "9" * 30})


async def test_largest_body_is_read(api: Api) -> None:
    user = await api.user()
    padded = b'{"full_name": "Ada"' + b" " * (LIMIT - 20) + b"}"
    assert len(padded) == LIMIT
    answer = await user.call("PATCH", "users/me", content=padded, headers=JSON)
    assert answer.status_code == 200
    answer = await user.call("PATCH", "users/me", content=padded + b" ", headers=JSON)
    assert_problem(answer, 413, "payload_too_large")


async def test_last_of_duplicate_members_counts(api: Api) -> None:
    """One rule: what is validated is what is stored."""
    user = await api.user()
    body = b'{"full_name": "First", "full_name": "Second"}'
    answer = await user.call("PATCH", "users/me", content=body, headers=JSON)
    assert answer.json()["full_name"] == "Second"
    assert (await user.get("users/me")).json()["full_name"] == "Second"
    body = b'{"full_name": "First", "full_name": 5}'
    assert_problem(await user.call("PATCH", "users/me", content=body, headers=JSON), 422)


NUMBERS = ["0", "-1", "1e3", "1_000", "+1", "٣", str(2**62), str(BIG), "9" * 4400, "NaN", "Infinity", CANARY, "0x10", "1\x00"]
TEXTS = ["\x00", f"{CANARY}\x00", "x" * 5000]
IDS = ["1", "0", "-1", str(2**63), "9" * 4400, CANARY, "\x00", "null", "0198c0de-0000-7000-8000-00000000000g", "' OR 1=1 --"]
FLAGS = ["1", "yes", "TRUE", CANARY, "", "\x00"]


def hostile_values(schema: dict[str, Any]) -> list[str]:
    if schema.get("type") in {"integer", "number"}:
        return NUMBERS
    if schema.get("type") == "boolean":
        return FLAGS
    return IDS if schema.get("format") == "uuid" else TEXTS


async def test_queries_at_fault_are_422(shooter: Shooter) -> None:
    for operation in await operations(shooter.api):
        if operation.path == TOKEN:
            continue
        body = {"json": {}} if operation.has_json else {}
        for bad in (f"unknown={CANARY}", "x", "%00=1", "%ED%A0%80=1", f"unknown={CANARY}&unknown=2", "&".join(["a=1"] * 500)):
            await shooter.shoot(operation, f"{operation.url()}?{bad}", {422}, **body)
        for name, schema in operation.query.items():
            for value in hostile_values(schema):
                await shooter.shoot(operation, f"{operation.url()}?{name}={quote(value)}", {422}, **body)
            await shooter.shoot(operation, f"{operation.url()}?{name}=1&{name}=1", {422}, **body)
    assert shooter.shots > 300


async def test_unpaired_bytes_in_a_query_are_harmless(api: Api) -> None:
    """They are read as the replacement character, on every database alike."""
    admin = await api.superuser()
    for value in ("%ED%A0%80", "%FF%FE", "%C0%AF", "%F4%90%80%80"):
        assert (await admin.get(f"users?q={value}")).json()["items"] == []


async def test_malformed_ids_are_4xx(shooter: Shooter) -> None:
    """Path values are in `instance`, as RFC 9457 has it; so without the canary."""
    ids = [id for id in IDS if id != CANARY] + ["%ED%A0%80", "%FF", "..%2f..", "%", "x" * 3000, "{id}", "$(id)", "<script>"]
    for operation in await operations(shooter.api):
        body = {"json": {}} if operation.has_json else {}
        for name in operation.path_names:
            for id in ids:
                value = id if id.startswith("%") and len(id) > 1 else quote(id, safe="")
                await shooter.shoot(operation, operation.url(**{name: value}), {404, 422}, **body)
    assert shooter.shots > 100


async def test_malformed_id_is_422(api: Api) -> None:
    admin = await api.superuser()
    for bad in ("1", "0" * 31, "x", str(2**63)):
        for answer in (await admin.get(f"users/{bad}"), await admin.post(f"roles/{bad}/restore")):
            problem = assert_problem(answer, 422, "validation_error")
            assert problem["errors"][0]["loc"][0] == "path"
    for spelling in (admin.id.upper(), admin.id.replace("-", ""), f"urn:uuid:{admin.id}", f"{{{admin.id}}}"):
        answer = await admin.get(f"users/{spelling}")
        assert (answer.status_code, answer.json()["id"]) == (200, admin.id)


async def test_messages_quote_nothing_of_what_was_sent(api: Api) -> None:
    admin = await api.superuser()
    answer = await admin.put(f"users/{admin.id}/roles", {"role_ids": ["ß≠"]})
    assert_problem(answer, 422, "validation_error")
    assert "ß" not in answer.text


@pytest.mark.parametrize("text", ["'; DROP TABLE users; --", '" OR ""="', "\\", "%", "_", "${7*7}", "{{7*7}}", "<script>",
                                  "pg_sleep(9)", "😀" * 20, "\u0301"])  # fmt: skip
async def test_any_text_is_stored_as_it_is(api: Api, text: str) -> None:
    admin = await api.superuser()
    role = (await admin.post("roles", {"name": "x", "description": text})).json()
    assert (await admin.get(f"roles/{role['id']}")).json()["description"] == text
    assert (await admin.get(f"users?q={quote(text)}")).json()["items"] == []
