"""Contract 6: the system about itself, and health."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.core.errors import Unavailable
from app.core.platform import Platform
from app.modules.system.repository import SystemRepository
from tests.api import Api, assert_problem
from tests.backend import RunningApp

RESOURCE = {"name", "module", "table", "path", "operations", "fields"}
FIELD = {"name", "type", "required", "nullable", "read_only"}


async def test_ping_is_public_and_tells_the_time(api: Api) -> None:
    answer = await api.get("system/ping")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"status", "time"}
    assert body["status"] == "ok"
    assert body["time"].endswith("Z")
    assert abs(datetime.fromisoformat(body["time"]) - datetime.now(UTC)) < timedelta(seconds=5)
    assert "x-database-fallback" not in answer.headers


async def test_info_needs_its_privilege(api: Api) -> None:
    assert_problem(await api.get("system/info"), 401, "unauthenticated")
    problem = assert_problem(await (await api.user()).get("system/info"), 403, "forbidden")
    assert problem["required"] == "system:read"
    info = (await (await api.user("system:read")).get("system/info")).json()
    assert {"version", "database", "cache", "modules"} <= set(info)
    assert info["database"]["kind"] in {"sqlite", "postgresql"}
    assert info["database"]["version"][0].isdigit()
    assert info["cache"] == ("memory" if info["database"]["kind"] == "sqlite" else "redis")
    assert {"auth", "users", "roles", "privileges", "system"} <= {
        module["name"] for module in info["modules"]
    }


async def resources(caller: Any) -> dict[str, dict[str, Any]]:
    answer = await caller.get("system/editable-resources")
    assert answer.status_code == 200
    return {resource["table"]: resource for resource in answer.json()}


async def test_editable_resources_are_those_one_may_read(api: Api) -> None:
    assert_problem(await api.get("system/editable-resources"), 401, "unauthenticated")
    assert await resources(await api.user()) == {}
    assert await resources(await api.user("users:update")) == {}
    assert set(await resources(await api.user("users:read"))) == {"users"}
    assert set(await resources(await api.user(modules=["roles", "privileges"]))) == {"roles", "privileges"}
    assert {"users", "roles", "privileges"} <= set(await resources(await api.superuser()))


async def test_editable_resource_describes_its_fields(api: Api) -> None:
    every = await resources(await api.superuser())
    for resource in every.values():
        assert set(resource) == RESOURCE
        for field in resource["fields"]:
            assert set(field) >= FIELD
            assert set(field) <= FIELD | {"max_length", "choices", "references", "default"}
            assert None not in field.values()
            assert not field["name"].endswith("pk")
            assert not (field["read_only"] and field["required"])
    users = every["users"]
    assert (users["name"], users["module"], users["path"]) == ("user", "users", "/api/v1/users")
    assert users["operations"] | {"read": "users:read", "create": "users:create"} == users["operations"]
    fields = {field["name"]: field for field in users["fields"]}
    plain = {"nullable": False, "read_only": False, "required": True}
    assert fields["email"] == {"name": "email", "type": "email", "max_length": 254, **plain}
    assert fields["full_name"] == {
        "name": "full_name",
        "type": "string",
        "max_length": 200,
        **plain,
        "nullable": True,
        "required": False,
    }
    assert fields["id"] == {
        "name": "id",
        "type": "uuid",
        "nullable": False,
        "read_only": True,
        "required": False,
    }
    assert fields["created_at"]["type"] == "date-time"
    assert fields["last_login_at"]["nullable"] is True
    assert fields["is_blocked"]["read_only"] is True
    roles = {field["name"]: field for field in every["roles"]["fields"]}
    assert roles["privileges"]["type"] == "array"
    assert roles["description"]["default"] == ""
    assert roles["is_system"]["read_only"] is True


async def test_health_tells_states_only(api: Api) -> None:
    answer = await api.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"status", "checks"}
    assert {"database", "cache", "migrations"} <= set(body["checks"])
    assert {body["status"], *body["checks"].values()} == {"ok"}
    for path in ("/health/ready", "/health/live"):
        answer = await api.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


class Gone:
    """A database that nobody reaches; counts who tried."""

    def __init__(self, platform: Platform) -> None:
        self.tries = 0
        self.real = platform.database

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def fetch(self, *_: object) -> Any:
        self.tries += 1
        raise Unavailable("The database can't be reached at the moment.")

    ping = fetch


@pytest.fixture
def gone(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> Gone:
    made = Gone(app.platform)
    monkeypatch.setattr(app.platform, "database", made)
    return made


async def test_health_without_database(api: Api, gone: Gone) -> None:
    answer = await api.get("/health")
    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == body["checks"]["database"] == "unavailable"
    assert body["checks"]["cache"] == "ok"
    problem = await api.get("/health/ready")
    assert_problem(problem, 503, "unavailable")
    assert int(problem.headers["retry-after"]) >= 1
    assert gone.tries > 0
    before = gone.tries
    live = await api.get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (await api.get("system/ping")).status_code == 200
    assert gone.tries == before


async def test_not_ready_before_start_is_done(
    api: Api, app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.platform, "ready", False)
    assert_problem(await api.get("/health/ready"), 503, "unavailable")
    assert (await api.get("/health/live")).status_code == 200


@pytest.mark.parametrize(
    ("known", "state", "status"), [([], "ok", 200), (["head", "{}"], "unavailable", 503), (["{}"], "ok", 200)]
)
async def test_schema_behind_is_not_ready(
    api: Api, app: RunningApp, monkeypatch: pytest.MonkeyPatch, known: list[str], state: str, status: int
) -> None:
    """A revision that the code doesn't know is ahead of it, and counts as current."""
    revision = await SystemRepository(app.platform).revision()
    assert revision is not None
    names = [name.format(revision) for name in known] or ["another head"]
    monkeypatch.setattr("app.modules.system.repository.known_revisions", lambda: names)
    answer = await api.get("/health")
    assert (answer.status_code, answer.json()["checks"]["migrations"]) == (status, state)
    assert (await api.get("/health/ready")).status_code == status


async def test_cache_gone_is_degraded(api: Api, app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> bool:
        return False

    monkeypatch.setattr(app.platform.cache, "ping", silent)
    answer = await api.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["cache"] == "degraded"
    assert (await api.get("/health/ready")).status_code == 200


async def scrape(app: RunningApp, client: str, **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app.app, client=(client, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get("/metrics", headers=headers)


async def test_metrics_are_for_the_local_network(app: RunningApp) -> None:
    for client in ("127.0.0.1", "10.1.2.3", "::1"):
        answer = await scrape(app, client)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "http_requests_total" in answer.text
    for client in ("8.8.8.8", "2001:4860::1"):
        assert_problem(await scrape(app, client), 404, "not_found")
    through_a_proxy = await scrape(app, "127.0.0.1", **{"X-Forwarded-For": "8.8.8.8"})
    assert_problem(through_a_proxy, 404, "not_found")


async def test_unknown_query_is_refused_here_too(api: Api) -> None:
    for path in ("system/ping", "/health", "/health/live", "/health/ready", "/metrics"):
        assert_problem(await api.get(f"{path}?x=1"), 422, "validation_error")
