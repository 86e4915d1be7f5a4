"""Asking for a new password: the same answer to everybody, and a mail to who has the address."""

import asyncio
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import httpx2
import pytest
import time_machine

from app.core.entity import metadata
from app.core.job import Job
from tests.api import Api, assert_problem
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import settings_for
from tests.modules.auth.post_office import BASE_URL, NEW_PASSWORD, Office, open_office, token_of, told
from tests.modules.auth.support import assert_alive, stored
from tests.program import GOOD_PRODUCTION

FORGOT = "auth/password/forgot"
PATIENCE_SECONDS = 10


def outside(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """All that a client sees of an answer, but for what differs from one request to the next."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.content, headers


async def test_everybody_gets_the_same_answer_and_the_owner_a_mail(office: Office, unique: str) -> None:
    admin, known = await office.api.superuser(), await office.api.user()
    blocked, deleted = await office.api.user(), await office.api.user()
    assert (await admin.post(f"users/{blocked.id}/block")).status_code == 200
    assert (await admin.delete(f"users/{deleted.id}")).status_code == 204
    unknown = f"{unique}@example.com"
    answers = [await office.ask(email) for email in (known.email, unknown, blocked.email, deleted.email)]
    assert {repr(outside(answer)) for answer in answers} == {repr(outside(answers[0]))}
    assert answers[0].content == b""
    await office.work()
    assert [letter.recipients for letter in office.box.letters] == [[known.email]]
    rows = await stored(office.app, "SELECT email, due_at FROM password_resets")
    assert [tuple(row) for row in rows] == [(known.email, None)], "who has no account leaves nothing behind"


async def test_mail_says_what_to_do_and_works(office: Office) -> None:
    user = await office.api.user()
    token = await office.link_for(user)
    (letter,) = office.letters_to(user.email)
    assert f"\n{BASE_URL}/reset-password#token={token}\n" in letter.text
    for said in (user.email, "30 minutes", "once", "do nothing"):
        assert said in letter.text
    assert letter.message["Subject"] == "Set a new password"
    assert token not in str(letter.message["Subject"])
    assert len(token) >= 43, "256 bits"
    await office.assert_good(token)
    await assert_alive(await office.api.login(user.email, NEW_PASSWORD))


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Origin"])
async def test_link_comes_from_the_settings_whatever_the_request_says(office: Office, name: str) -> None:
    user = await office.api.user()
    evil = {"Forwarded": "host=evil.example;proto=http", "X-Forwarded-Proto": "http"}.get(
        name, "evil.example"
    )
    await office.ask(user.email, **{name: evil})
    await office.work()
    (letter,) = office.letters_to(user.email)
    assert b"evil" not in letter.content
    assert f"\n{BASE_URL}/reset-password#token=" in letter.text


async def test_address_is_found_in_any_form_and_written_to_as_it_is_stored(
    office: Office, unique: str
) -> None:
    user = await office.api.user(email=f"ada-{unique}@example.com")
    forms = [f" ADA-{unique}@Example.COM ", f"\uff41da-{unique}@example.com"]
    for form in forms:
        await office.ask(form)
    await office.work()
    assert [letter.recipients for letter in office.box.letters] == [[user.email]] * len(forms)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": ""},
        {"email": "nobody"},
        {"email": None},
        {"email": "a@example.com\x00"},
        {"email": "a@example.com\r\nBcc: b@example.com"},
        {"email": "a@example.com", "password": NEW_PASSWORD},
        [],
    ],
)
async def test_malformed_request_is_refused_and_nothing_is_kept(office: Office, body: object) -> None:
    assert_problem(await office.api.post(FORGOT, body), 422, "validation_error")
    assert (await stored(office.app, "SELECT count(*) FROM password_resets"))[0][0] == 0


async def test_token_is_nowhere_but_in_the_mail(office: Office) -> None:
    user = await office.api.user()
    with told() as logs:
        token = await office.link_for(user)
        dump = ""
        for table in metadata.sorted_tables:
            dump += repr(await stored(office.app, f"SELECT * FROM {table.name}"))  # noqa: S608
        answer = await office.reset(token, "short")
        await office.assert_good(token)
    assert user.email in dump
    for place in (dump, repr(logs), answer.text):
        assert token not in place
    assert {"auth.reset_mailed", "auth.password_reset"} <= {line["event"] for line in logs}
    assert user.email not in repr(logs)


async def test_without_a_mail_server_the_mail_is_a_file(api: Api, mail_folder: Path) -> None:
    """The job is the app's own: nothing here makes it work but the request."""
    user = await api.user()
    assert (await api.post(FORGOT, {"email": user.email})).status_code == 202
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := [text for text in texts_in(mail_folder) if user.email in text]):  # noqa: ASYNC110  a file is no event
            await asyncio.sleep(0.01)
    (text,) = found
    assert "http://localhost:8000/reset-password#token=" in text
    body = {"token": token_of(text), "new_password": NEW_PASSWORD}
    assert (await api.post("auth/password/reset", body)).status_code == 204
    await assert_alive(await api.login(user.email, NEW_PASSWORD))


def texts_in(folder: Path) -> list[str]:
    messages = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in folder.glob("*.eml")]
    return [message.get_content() for message in messages]  # type: ignore[attr-defined,unused-ignore]


async def test_request_wakes_the_job(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    monkeypatch.setattr(Job, "wake", lambda job: woken.append(job._name))
    await office.ask("nobody@example.com")
    assert woken == ["reset mails"]


async def test_requests_of_one_address_are_limited(backend: Backend, clock: time_machine.Traveller) -> None:
    async with open_office(backend, register_limit="3/minute") as office:
        user = await office.api.user()
        for email in (user.email, "nobody@example.com", "other@example.com"):
            await office.ask(email)
        for email in (user.email, "nobody@example.com"):
            answer = await office.api.post(FORGOT, {"email": email})
            assert_problem(answer, 429, "rate_limited")
            assert 0 < int(answer.headers["retry-after"]) <= 60
        register = {"email": "new@example.com", "password": NEW_PASSWORD}
        assert (await office.api.post("auth/register", register)).status_code == 201, "counted apart"
        await office.work()
        assert len(office.box.letters) == 1
        clock.shift(timedelta(seconds=int(answer.headers["retry-after"]) + 1))
        await office.ask(user.email)


async def test_production_without_mail_server_says_so_to_everybody(backend: Backend) -> None:
    given = {name.lower(): value for name, value in GOOD_PRODUCTION.items()} | {"allowed_hosts": ("test",)}
    async with run_app(settings_for(backend.new_database(), "", **given)) as app:
        answers = []
        for email in ("admin@example.com", "nobody@example.com"):
            answer = await Api(app).post(FORGOT, {"email": email})
            assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            answers.append(answer.json()["detail"])
        assert answers[0] == answers[1]
        assert await nothing_kept(app)


async def nothing_kept(app: RunningApp) -> bool:
    return int((await stored(app, "SELECT count(*) FROM password_resets"))[0][0]) == 0
