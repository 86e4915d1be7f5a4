"""The image and the compose file keep their promises; each rule has a planted violation that turns it red.

No Docker engine is needed: the files are read, and the health check's program is run against a small server.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]  # comes with uvicorn, its stubs don't

ROOT = Path(__file__).resolve().parents[1]
SECRETS = {
    "SECRET_KEY",
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "POSTGRES_PASSWORD",
    "CACHE_PASSWORD",
    "ALLOWED_HOSTS",
}
# Empty means the program's own default: nothing here may decide in its place.
HANDED_THROUGH = {"PUBLIC_BASE_URL", "SMTP_URL", "MAIL_FROM", "REGISTER_LIMIT", "RATE_LIMIT"}
TEMPORARY = "/tmp"  # noqa: S108  the container's own
WRITABLE = {"/srv/tessera/data", "/srv/tessera/logs"}
SERVE = ["python", "-m", "app", "serve", "--host", "0.0.0.0", "--port", "8000"]


class Instruction(NamedTuple):
    """One line of a Dockerfile, continuation lines joined: `RUN`, and what follows it."""

    name: str
    rest: str


def _instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [Instruction(*(line.strip().split(None, 1))) for line in joined]


def _last_stage(instructions: list[Instruction]) -> list[Instruction]:
    start = max(n for n, step in enumerate(instructions) if step.name == "FROM")
    return instructions[start:]


def _values(instructions: list[Instruction], name: str) -> list[str]:
    return [step.rest for step in instructions if step.name == name]


def _health_command(text: str) -> list[str]:
    check = _values(_instructions(text), "HEALTHCHECK")[-1]
    return list(json.loads(check.split("CMD", 1)[1]))


def image_faults(text: str) -> set[str]:
    """The broken promises of a Dockerfile, by name; empty when all are kept."""
    every = _instructions(text)
    last = _last_stage(every)
    environment = " ".join(_values(last, "ENV"))
    user = (_values(last, "USER") or ["root"])[-1]
    kept = {
        "two stages": len(_values(every, "FROM")) > 1,
        "exact base": re.search(r"PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+", text) is not None
        and all(source.startswith("${PYTHON_IMAGE} ") for source in _values(every, "FROM")),
        "hashes": any(
            "--require-hashes" in run and "--only-binary=:all:" in run for run in _values(every, "RUN")
        ),
        "built apart": not any("pip" in run for run in _values(last, "RUN")),
        "fixed user": re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user) is not None,
        "code is root's": not any("--chown" in copy for copy in _values(last, "COPY")),
        "two volumes": {path for entry in _values(last, "VOLUME") for path in json.loads(entry)} == WRITABLE,
        "production": "ENVIRONMENT=production" in environment,
        "no bytecode": "PYTHONDONTWRITEBYTECODE=1" in environment,
        "unbuffered": "PYTHONUNBUFFERED=1" in environment,
        "command": [json.loads(entry) for entry in _values(last, "CMD")] == [SERVE],
        "stop signal": _values(last, "STOPSIGNAL") == ["SIGTERM"],
        "health": any("/health/live" in check and "CMD [" in check for check in _values(last, "HEALTHCHECK")),
        "labels": "org.opencontainers.image.title" in " ".join(_values(last, "LABEL")),
        "no secret": not re.search(r"(SECRET|PASSWORD|TOKEN|KEY)\w*=", text),
        "nothing fetched": not _values(every, "ADD") and not re.search(r"\b(curl|wget)\b", text),
        "copies by name": not any(re.match(r"\.\s", copy) for copy in _values(every, "COPY")),
    }
    return {promise for promise, is_kept in kept.items() if not is_kept}


def compose_faults(config: dict[str, Any]) -> set[str]:
    """The broken promises of a compose file, by name; empty when all are kept."""
    kept = {**_parts(config["services"]), **_hardening(config["services"])}
    kept["inside"] = config["networks"]["inside"] == {"internal": True}
    return {promise for promise, is_kept in kept.items() if not is_kept}


def _parts(services: dict[str, Any]) -> dict[str, bool]:
    api, migrate, cache, db = (services[name] for name in ("api", "migrate", "cache", "db"))
    environment = api["environment"]
    required = set(re.findall(r"\$\{(\w+):\?", json.dumps(services)))
    optional = set(re.findall(r"\$\{(\w+)(?::?-[^}]*)?\}", json.dumps(services)))
    chain = "python -m app init-db && python -m app seed"
    return {
        "four services": set(services) == {"db", "cache", "migrate", "api"},
        "exact images": all(re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", s["image"]) for s in (db, cache)),
        "postgres 17": db["image"].startswith("postgres:17."),
        "dragonfly": "dragonflydb/dragonfly:" in cache["image"],
        "health": all("test" in s.get("healthcheck", {}) for s in (db, cache)) and "healthcheck" not in api,
        "database is kept": "db:/var/lib/postgresql/data" in db.get("volumes", []),
        "required": required == SECRETS and not SECRETS & optional,
        "mail and limits": all(environment.get(name) == f"${{{name}:-}}" for name in HANDED_THROUGH),
        "cache password": "DFLY_requirepass" in cache.get("environment", {})
        and ":${CACHE_PASSWORD" in environment["CACHE_URL"],
        "cache memory": "mem_limit" in cache and any("--maxmemory=" in part for part in cache["command"]),
        "migration": migrate["command"] == ["sh", "-c", chain] and migrate["restart"] == "no",
        "order": {name: need["condition"] for name, need in api["depends_on"].items()}
        == {
            "db": "service_healthy",
            "cache": "service_healthy",
            "migrate": "service_completed_successfully",
        }
        and migrate["depends_on"]["db"]["condition"] == "service_healthy",
    }


def _hardening(services: dict[str, Any]) -> dict[str, bool]:
    api, migrate, cache, db = (services[name] for name in ("api", "migrate", "cache", "db"))
    return {
        "production": all(s["environment"]["ENVIRONMENT"] == "production" for s in (api, migrate)),
        "loopback": [port.split(":")[0] for s in services.values() for port in s.get("ports", [])]
        == ["127.0.0.1"],
        "read-only": all(
            s.get("read_only") is True and TEMPORARY in s.get("tmpfs", []) for s in (api, migrate, cache)
        ),
        "two volumes": {volume.split(":")[1] for volume in api["volumes"]} == WRITABLE,
        "capabilities": all(s.get("cap_drop") == ["ALL"] for s in services.values())
        and not any("cap_add" in s for s in (api, migrate, cache)),
        "privileges": all(
            "no-new-privileges:true" in s.get("security_opt", []) and "privileged" not in s
            for s in services.values()
        ),
        "grace": all("stop_grace_period" in s for s in services.values()),
        "out of reach": db["networks"] == cache["networks"] == ["inside"],
    }


def _dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def _compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))


def test_image_keeps_its_promises() -> None:
    assert image_faults(_dockerfile()) == set()


@pytest.mark.parametrize(
    ("promise", "old", "new"),
    [
        ("two stages", "FROM ${PYTHON_IMAGE} AS runtime\n", ""),
        ("exact base", "python:3.11.15-slim-bookworm\n", "python:3-slim\n"),
        ("exact base", "FROM ${PYTHON_IMAGE} AS runtime", "FROM python:latest AS runtime"),
        ("hashes", "--require-hashes ", ""),
        ("built apart", "RUN groupadd", "RUN pip install x && groupadd"),
        ("fixed user", "USER 10001:10001\n", ""),
        ("fixed user", "USER 10001:10001", "USER 0:0"),
        ("code is root's", "COPY --from=builder /srv", "COPY --chown=10001 --from=builder /srv"),
        ("two volumes", '"/srv/tessera/logs"]', '"/srv"]'),
        ("production", "ENVIRONMENT=production", "ENVIRONMENT=development"),
        ("no bytecode", "PYTHONDONTWRITEBYTECODE=1", "X=1"),
        ("unbuffered", "PYTHONUNBUFFERED=1", "X=1"),
        ("command", '"--port", "8000"]', '"--port", "80"]'),
        ("stop signal", "STOPSIGNAL SIGTERM\n", ""),
        ("health", "/health/live", "/"),
        ("labels", "org.opencontainers.image.title", "title"),
        ("no secret", "HOME=/tmp", "SECRET_KEY=abc"),
        ("nothing fetched", "COPY app ./app", "ADD https://example.com/x ./app"),
        ("copies by name", "COPY app ./app", "COPY . ."),
    ],
)
def test_planted_fault_of_the_image_is_found(promise: str, old: str, new: str) -> None:
    assert old in _dockerfile()
    assert promise in image_faults(_dockerfile().replace(old, new))


def test_what_the_image_copies_is_there_and_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in let_through if line and not line.startswith("#")) == "*"
    sources = [copy.split()[:-1] for copy in _values(_instructions(_dockerfile()), "COPY")]
    for source in (name for names in sources if not names[0].startswith("--from") for name in names):
        assert list(ROOT.glob(source)) or source.endswith("*"), source
        assert {f"!{source.rstrip('*')}", f"!{source}/"} & set(let_through), source


def test_compose_keeps_its_promises() -> None:
    assert compose_faults(_compose()) == set()


Plant = Callable[[dict[str, Any]], object]
PLANTS: list[tuple[str, Plant]] = [
    ("four services", lambda c: c["services"].update(extra=c["services"]["db"])),
    ("exact images", lambda c: c["services"]["db"].update(image="postgres:17")),
    ("postgres 17", lambda c: c["services"]["db"].update(image="postgres:16.1")),
    ("dragonfly", lambda c: c["services"]["cache"].update(image="redis:7.4")),
    ("health", lambda c: c["services"]["cache"].pop("healthcheck")),
    ("health", lambda c: c["services"]["api"].update(healthcheck={"disable": True})),
    ("database is kept", lambda c: c["services"]["db"].pop("volumes")),
    ("required", lambda c: c["services"]["api"]["environment"].update(SECRET_KEY="${SECRET_KEY:-weak}")),
    ("required", lambda c: c["services"]["api"]["environment"].update(ADMIN_PASSWORD="ChangeMe123!")),
    ("mail and limits", lambda c: c["services"]["api"]["environment"].pop("SMTP_URL")),
    ("mail and limits", lambda c: c["services"]["api"]["environment"].update(RATE_LIMIT="100/minute")),
    ("cache password", lambda c: c["services"]["cache"].pop("environment")),
    ("cache memory", lambda c: c["services"]["cache"].pop("mem_limit")),
    ("migration", lambda c: c["services"]["migrate"].update(restart="always")),
    ("order", lambda c: c["services"]["api"]["depends_on"].pop("migrate")),
    ("order", lambda c: c["services"]["migrate"]["depends_on"]["db"].update(condition="service_started")),
    ("production", lambda c: c["services"]["api"]["environment"].update(ENVIRONMENT="development")),
    ("loopback", lambda c: c["services"]["api"].update(ports=["8000:8000"])),
    ("loopback", lambda c: c["services"]["db"].update(ports=["5432:5432"])),
    ("read-only", lambda c: c["services"]["api"].pop("read_only")),
    ("two volumes", lambda c: c["services"]["api"]["volumes"].append("code:/srv/tessera/app")),
    ("capabilities", lambda c: c["services"]["api"].pop("cap_drop")),
    ("capabilities", lambda c: c["services"]["api"].update(cap_add=["NET_ADMIN"])),
    ("privileges", lambda c: c["services"]["api"].pop("security_opt")),
    ("privileges", lambda c: c["services"]["db"].update(privileged=True)),
    ("grace", lambda c: c["services"]["api"].pop("stop_grace_period")),
    ("out of reach", lambda c: c["services"]["db"].update(networks=["outside"])),
    ("inside", lambda c: c["networks"].update(inside={})),
]


@pytest.mark.parametrize(("promise", "plant"), PLANTS)
def test_planted_fault_of_compose_is_found(promise: str, plant: Plant) -> None:
    config = _compose()
    plant(config)

    assert promise in compose_faults(config)


class _Server(ThreadingHTTPServer):
    """Answers every request with `status`, and remembers who was asked for what."""

    status = 200
    asked: tuple[str, str | None] = ("", None)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked = (self.path, self.headers.get("Host"))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name in http.server
        """Stays silent."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _check_health(server: _Server, allowed_hosts: str) -> int:
    python, *arguments = _health_command(_dockerfile())
    assert python == "python"
    command = [part.replace("8000", str(server.server_port)) for part in arguments]
    return subprocess.run(
        [sys.executable, *command], env={"ALLOWED_HOSTS": allowed_hosts}, check=False, capture_output=True
    ).returncode


@pytest.mark.parametrize(
    ("allowed_hosts", "host"),
    [
        ("api.example.com, b.example.com", "api.example.com"),
        ("*.example.com", "health.example.com"),
        ("", "localhost"),
    ],
)
def test_health_check_asks_under_an_allowed_name(server: _Server, allowed_hosts: str, host: str) -> None:
    assert _check_health(server, allowed_hosts) == 0
    assert server.asked == ("/health/live", host)


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_health_check_fails_on_anything_but_200(server: _Server, status: int) -> None:
    server.status = status

    assert _check_health(server, "localhost") == 1


def test_health_check_fails_when_nobody_answers(server: _Server) -> None:
    server.server_port = 1

    assert _check_health(server, "localhost") == 1
