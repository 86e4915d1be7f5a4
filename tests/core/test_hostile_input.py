"""What naive servers answer with 500, sent to every operation of the OpenAPI document: 4xx problems, no echo."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.api import Api, assert_problem
from tests.core.hostile import (
    CANARY,
    IDS,
    JSON,
    LIMIT,
    MISSHAPEN,
    TOKEN,
    UNREADABLE,
    Shooter,
    field_bodies,
    hostile_values,
    operations,
)


@pytest.fixture
async def shooter(api: Api) -> AsyncIterator[Shooter]:
    made = Shooter(api, await api.superuser())
    async with made.client:
        yield made


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
    assert shooter.shots > 0


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
                await shooter.shoot(
                    operation, operation.url(), {415}, content=body, headers={"Content-Type": kind}
                )
            await shooter.shoot(operation, operation.url(), {415}, content=body)
    token = next(o for o in await operations(shooter.api) if o.path == TOKEN)
    await shooter.shoot(token, TOKEN, {415}, content=body, headers=JSON)
    assert shooter.shots > 0


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", "application/json; charset=utf-8",
                                  'application/json;charset="UTF-8"', "application/merge-patch+json"])  # fmt: skip
async def test_json_under_its_own_name_is_read(api: Api, kind: str) -> None:
    user = await api.user()
    answer = await user.call(
        "PATCH", "users/me", content=b'{"full_name": "Ada"}', headers={"Content-Type": kind}
    )
    assert (answer.status_code, answer.json()["full_name"]) == (200, "Ada")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "zstd", "nonsense"])
async def test_encoded_bodies_are_415(shooter: Shooter, encoding: str) -> None:
    body = b"\x1f\x8b" + bytes(200)
    for operation in await operations(shooter.api):
        if operation.has_json:
            headers = {**JSON, "Content-Encoding": encoding}
            await shooter.shoot(operation, operation.url(), {415}, content=body, headers=headers)
    assert shooter.shots > 0


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
            await shooter.shoot(
                operation, url, {413}, content=b"", headers={**JSON, "Content-Length": "9" * 30}
            )
    assert shooter.shots > 0


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


async def test_queries_at_fault_are_422(shooter: Shooter) -> None:
    for operation in await operations(shooter.api):
        if operation.path == TOKEN:
            continue
        body: dict[str, Any] = {"json": {}} if operation.has_json else {}
        for bad in (
            f"unknown={CANARY}",
            "x",
            "%00=1",
            "%ED%A0%80=1",
            f"unknown={CANARY}&unknown=2",
            "&".join(["a=1"] * 500),
        ):
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
    ids = [id for id in IDS if id != CANARY] + [
        "%ED%A0%80",
        "%FF",
        "..%2f..",
        "%",
        "x" * 3000,
        "{id}",
        "$(id)",
        "<script>",
    ]
    for operation in await operations(shooter.api):
        body: dict[str, Any] = {"json": {}} if operation.has_json else {}
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


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE users; --", '" OR ""="', "\\", "%", "_", "${7*7}", "{{7*7}}", "<script>", "pg_sleep(9)",
     "😀" * 20, "\u0301"],
)  # fmt: skip
async def test_any_text_is_stored_as_it_is(api: Api, text: str) -> None:
    admin = await api.superuser()
    role = (await admin.post("roles", {"name": "x", "description": text})).json()
    assert (await admin.get(f"roles/{role['id']}")).json()["description"] == text
    assert (await admin.get(f"users?q={quote(text)}")).json()["items"] == []
