"""`python -m app …`: serve, migrate, seed, look after accounts, look the program over.

Every command exits 0 on success, 2 on wrong use, 78 for a refused start, and otherwise 1 with one clear line.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from app.core.config import RefusedStart, Settings, get_settings
from app.core.errors import AppError
from app.core.logging import configure

T = TypeVar("T")
EXIT_REFUSED = 78
cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def run() -> None:
    """Runs a command and turns what it raises into a line and an exit code."""
    from app.registry import FaultyModules

    try:
        cli()
    except (RefusedStart, FaultyModules) as error:
        for line in str(error).splitlines():
            typer.echo(f"refused to start: {line}", err=True)
        sys.exit(EXIT_REFUSED)
    except AppError as error:
        typer.echo(f"error: {error.detail}", err=True)
        sys.exit(1)
    except (OSError, RuntimeError, ValueError) as error:
        typer.echo(f"error: {error}".splitlines()[0], err=True)
        sys.exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _settings() -> Settings:
    settings = get_settings()
    configure(level="WARNING", json_console=settings.json_console, folder=None)
    return settings


def _require_free(host: str, port: int) -> None:
    """Raises OSError where somebody else listens there: uvicorn would say so only after the whole start."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise OSError(f"can't listen on {host}:{port}: {os.strerror(error.errno or 0)}") from None


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Number of processes.", min=1, max=256)] = 1,
) -> None:
    """Serves the API."""
    import uvicorn

    from app.core.sockets import SERVER_FRAME_BYTES
    from app.startup import violations

    settings = get_settings()
    if found := _run(violations(settings)):
        raise RefusedStart(found)
    _require_free(host, port)
    with tempfile.TemporaryDirectory(prefix="tessera-metrics-") as shared:
        if settings.metrics and workers > 1:
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)  # workers add up their numbers there
        uvicorn.run(
            "app.main:app",
            host=host,
            port=port,
            workers=workers,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=15,
            timeout_keep_alive=20,
            ws="app.core.socket_protocol:SocketProtocol",
            ws_max_size=SERVER_FRAME_BYTES,
        )


@cli.command()
def init_db() -> None:
    """Migrates the database to the newest schema."""
    from app.migrations import upgrade

    settings = _settings()
    _run(upgrade(settings.database))
    typer.echo(f"The database is current: {settings.database.render_as_string(hide_password=True)}")


@cli.command()
def seed() -> None:
    """Seeds privileges, roles and the first superuser. May be repeated; never brings back what was changed."""
    from app.commands import seed_database

    made = _run(seed_database(_settings()))
    typer.echo("Made: " + ", ".join(made) if made else "Nothing to do: everything is there.")


@cli.command()
def create_user(
    email: Annotated[str, typer.Argument(help="E-mail address.")],
    full_name: Annotated[str | None, typer.Option(help="Full name.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Name of a role; may be repeated.")] = None,
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
    as_json: AsJson = False,
) -> None:
    """Makes an account. The password is asked for, or read from standard input; never an argument."""
    from app.commands import create_account

    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    user = _run(create_account(_settings(), email, password, full_name, role or ["regular"]))
    typer.echo(user.model_dump_json() if as_json else f"Made user {user.email} ({user.id}).")


@cli.command()
def list_users(
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 100,
    q: Annotated[str | None, typer.Option(help="Words that begin words of address or name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Lists accounts, the newest first."""
    from app.commands import find_accounts

    page = _run(find_accounts(_settings(), limit, q))
    if as_json:
        typer.echo(page.model_dump_json())
        return
    for user in page.items:
        state = "blocked" if user.is_blocked else "active"
        typer.echo(f"{user.id}  {state:8}{user.email}  {user.full_name or ''}".rstrip())
    typer.echo(f"{len(page.items)} of {page.total}", err=True)


@cli.command()
def cleanup_tokens(
    keep_days: Annotated[int, typer.Option(help="Keep what died less than so many days ago.", min=0)] = 7,
    as_json: AsJson = False,
) -> None:
    """Removes sessions, refresh tokens, reset links and counts of failures that play no part any more."""
    from app.commands import clean_up_tokens

    counts = _run(clean_up_tokens(_settings(), keep_days))
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    typer.echo(json.dumps(counts) if as_json else f"Removed {told}.")


@cli.command()
def routes(as_json: AsJson = False) -> None:
    """Prints the matrix of routes and the privileges they ask for."""
    from app.commands import route_matrix

    rows = route_matrix()
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in rows], indent=1))
        return
    width = max(len(row.path) for row in rows)
    for row in rows:
        typer.echo(f"{row.method:7}{row.path:{width}}  {row.access}  {row.note}".rstrip())


@cli.command()
def openapi() -> None:
    """Prints the OpenAPI document."""
    from app.commands import openapi_document

    typer.echo(json.dumps(openapi_document(), indent=1, ensure_ascii=False))


@cli.command()
def modules(as_json: AsJson = False) -> None:
    """Lists the modules, lowest first: tables, routes, privileges, and what they depend on."""
    from app.commands import module_rows

    rows = module_rows()
    if as_json:
        typer.echo(json.dumps([row.as_dict() for row in rows], indent=1))
        return
    for row in rows:
        typer.echo(row.name)
        for what, values in row.lists().items():
            typer.echo(f"  {what:12}{', '.join(values) or '-'}")


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Says in words what is wrong with modules, imports, blueprints, snapshots and database; 1 if anything is."""
    from app.doctor.examination import examine, is_well

    diagnoses = _run(examine())
    if as_json:
        typer.echo(json.dumps({diagnosis.check: diagnosis.faults for diagnosis in diagnoses}, indent=1))
    for diagnosis in () if as_json else diagnoses:
        typer.echo(f"{diagnosis.check:12}{'wrong' if diagnosis.faults else 'well'}")
        for fault in diagnosis.faults:
            typer.echo(f"  - {fault}")
    if not is_well(diagnoses):
        raise typer.Exit(1)
