"""Mail over a real SMTP server and into files: what arrives, what is refused, and what no error tells."""

import asyncio
import re
import socket
import stat
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.core import mail as mail_module
from app.core.config import Environment, RefusedStart
from app.core.mail import FileMailer, Mail, MailNotSent, SmtpMailer, open_mailer, sender_address
from tests.conftest import settings_for
from tests.mailbox import HOST, NAME, Mailbox, trusting

SENDER = "Tessera <noreply@example.com>"
PATIENCE_SECONDS = 10
CANARY = "tok-canary-3f9a"
LINK = f"https://api.example.com/reset-password#token={CANARY}{'x' * 150}"
TEXT = f"Hello,\n\nopen this link:\n\n{LINK}\n\nIt is good for 30 minutes.\n"
MAIL = Mail("ada@example.com", "Your new password", TEXT)
PASSWORD = "p@ss:word/canary%41 ü"
LOGIN = ("mail user@example.com", PASSWORD)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the certificate leads to this machine, and is none of loopback's names."""
    real = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        return real(HOST if host == NAME else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def _url(
    box: Mailbox, *, scheme: str = "smtp", host: str = HOST, login: tuple[str, str] | None = None
) -> str:
    user = f"{quote(login[0], safe='')}:{quote(login[1], safe='')}@" if login else ""
    return f"{scheme}://{user}{host}:{box.port}"


async def _refused(mailer: SmtpMailer | FileMailer, mail: Mail = MAIL) -> MailNotSent:
    with pytest.raises(MailNotSent) as caught:
        await mailer.send(mail)
    return caught.value


def _told(error: BaseException) -> str:
    """Everything that a log could make of an exception."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)


def _visible(folder: Path) -> list[bytes]:
    """As a reader sees them that looks for mails while some are written."""
    return [file.read_bytes() for file in folder.glob("*.eml")]


def _files(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.iterdir())]


async def test_mail_arrives_as_it_was_written(box: Mailbox) -> None:
    await SmtpMailer(box.url, SENDER).send(MAIL)

    (letter,) = box.letters
    assert (letter.sender, letter.recipients, letter.options) == (
        "noreply@example.com",
        ["ada@example.com"],
        [],
    )
    head, _, body = letter.content.decode("ascii").partition("\r\n\r\n")
    assert body == TEXT.replace("\n", "\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n"))
    sent_at = datetime.strptime(headers.pop("Date"), "%a, %d %b %Y %H:%M:%S %z")
    assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=5)
    assert re.fullmatch(r"<[^<>@\s]+@example\.com>", headers.pop("Message-ID"))
    assert headers == {
        "From": "Tessera <noreply@example.com>",
        "To": "ada@example.com",
        "Subject": "Your new password",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }
    assert re.findall(r"^https?://\S+$", letter.text, re.MULTILINE) == [LINK]


async def test_message_ids_differ(box: Mailbox) -> None:
    mailer = SmtpMailer(box.url, SENDER)
    await mailer.send(MAIL)
    await mailer.send(MAIL)

    assert len({letter.message["Message-ID"] for letter in box.letters}) == 2


@pytest.mark.parametrize(
    ("lacks", "options", "encoding"),
    [(frozenset(), ["BODY=8BITMIME"], "8bit"), (frozenset({"8BITMIME"}), [], "base64")],
)
async def test_text_beyond_ascii_stays_in_one_piece(
    lacks: frozenset[str], options: list[str], encoding: str
) -> None:
    text = TEXT.replace("Hello", "Grüße, 你好")
    with Mailbox(lacks=lacks) as box:
        await SmtpMailer(box.url, '"Müller, Söhne" <noreply@example.com>').send(
            Mail("ada@example.com", "Neues Paßwort", text)
        )

    (letter,) = box.letters
    assert letter.options == options
    assert letter.message["Content-Transfer-Encoding"] == encoding
    assert letter.message["Subject"] == "Neues Paßwort"
    assert letter.content.partition(b"\r\n\r\n")[0].isascii()  # encoded words, RFC 2047
    assert letter.text == text


async def test_dots_and_overlong_lines_survive(box: Mailbox) -> None:
    text = f".\n..\n{'y' * 2000}\nend\n"
    await SmtpMailer(box.url, SENDER).send(Mail("ada@example.com", "x", text))

    assert box.letters[0].text == text
    assert max(map(len, box.letters[0].content.splitlines())) < 1000


@pytest.mark.parametrize(
    ("to", "received", "options"),
    [
        ("jörg@example.com", "jörg@example.com", ["BODY=8BITMIME", "SMTPUTF8"]),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example", ["BODY=8BITMIME", "SMTPUTF8"]),
        # Another domain than strasse.example, which IDNA 2003 would make of it.
        ("ada@straße.example", "ada@xn--strae-oqa.example", []),
    ],
)
async def test_address_beyond_ascii_asks_for_smtputf8_only_where_needed(
    box: Mailbox, to: str, received: str, options: list[str]
) -> None:
    await SmtpMailer(box.url, SENDER).send(Mail(to, "x", "x\n"))

    assert box.letters[0].recipients == [received]
    assert box.letters[0].options == options
    assert f"To: {received}\r\n".encode() in box.letters[0].content


async def test_server_without_smtputf8_is_a_clear_refusal() -> None:
    with Mailbox(lacks=frozenset({"SMTPUTF8"})) as box:
        mailer = SmtpMailer(box.url, SENDER)
        refused = await _refused(mailer, Mail("jörg@example.com", "x", "x\n"))
        await mailer.send(Mail("ada@bücher.example", "x", "x\n"))

    assert (str(refused), refused.temporary) == ("The mail server takes addresses in ASCII only.", False)
    assert [letter.recipients for letter in box.letters] == [["ada@xn--bcher-kva.example"]]


@pytest.mark.parametrize(
    "end", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
)
@pytest.mark.parametrize("name", ["to", "subject"])
def test_header_injection_is_refused(name: str, end: str) -> None:
    hostile = f"ada@example.com{end}Bcc: {CANARY}@example.com"

    with pytest.raises(ValueError, match=f"the mail's {name} has control characters") as caught:
        Mail(**{"to": "ada@example.com", "subject": "x", "text": "x", name: hostile})
    assert CANARY not in _told(caught.value)


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "a@b, c@d",
        "a b@c",
        "<a@b>",
        '"a b"@c',
        "a@b> SIZE=1",
        "a@-ü.example",
    ],
)
async def test_what_is_no_address_is_refused_before_anybody_is_called(tmp_path: Path, to: str) -> None:
    nobody = SmtpMailer("smtp://127.0.0.1:1", SENDER)
    for mailer in (nobody, FileMailer(tmp_path / "mail", SENDER)):
        refused = await _refused(mailer, Mail(to, "x", "x\n"))

        assert (str(refused), refused.temporary) == ("The recipient is no e-mail address.", False)
    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize(
    "sender",
    ["", "Tessera", "Tessera <>", "a@b\r\nBcc: c@d", "A <a@b>\nBcc: c@d", "a@b, c@d", "A\r\nB: <a@b>"],
)
def test_sender_that_is_no_address_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match="no e-mail address"):
        sender_address(sender)


@pytest.mark.parametrize("starttls", [False, True])
async def test_login_to_this_machine(*, starttls: bool) -> None:
    with Mailbox(login=LOGIN, starttls=starttls) as box:
        await SmtpMailer(_url(box, login=LOGIN), SENDER, tls=trusting()).send(MAIL)

    assert [(letter.user, letter.is_encrypted) for letter in box.letters] == [(LOGIN[0], starttls)]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.usefixtures("far_away")
async def test_login_elsewhere_goes_through_tls(scheme: str) -> None:
    with Mailbox(login=LOGIN, starttls=scheme == "smtp", smtps=scheme == "smtps") as box:
        url = _url(box, scheme=scheme, host=NAME, login=LOGIN)
        await SmtpMailer(url, SENDER, tls=trusting()).send(MAIL)

    assert box.letters[0].user == LOGIN[0]
    assert set(box.logins) == {LOGIN}
    assert box.letters[0].is_encrypted or scheme == "smtps"


@pytest.mark.usefixtures("far_away")
async def test_password_never_goes_in_clear() -> None:
    with Mailbox(login=LOGIN) as box:
        refused = await _refused(SmtpMailer(_url(box, host=NAME, login=LOGIN), SENDER))

    assert (box.logins, box.letters, refused.temporary) == ([], [], False)
    assert str(refused) == "The mail server offers no STARTTLS, and there is a login."


@pytest.mark.usefixtures("far_away")
async def test_relay_without_tls_takes_mail_without_login(box: Mailbox) -> None:
    await SmtpMailer(_url(box, host=NAME), SENDER).send(MAIL)

    assert len(box.letters) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("host", [HOST, NAME])
@pytest.mark.usefixtures("far_away")
async def test_unknown_certificate_is_refused(host: str, scheme: str) -> None:
    with Mailbox(login=LOGIN, starttls=scheme == "smtp", smtps=scheme == "smtps") as box:
        refused = await _refused(SmtpMailer(_url(box, scheme=scheme, host=host, login=LOGIN), SENDER))

    assert (str(refused), refused.temporary) == ("The mail server's certificate can't be verified.", False)
    assert (box.logins, box.letters) == ([], [])


@pytest.mark.usefixtures("far_away")
async def test_certificate_of_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Mailbox(starttls=True) as box:
        url = _url(box, host="127.0.0.1").replace("127.0.0.1", "LOCALHOST.example.com")
        known = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *a, **k: known(HOST if "localhost" in str(host) else host, *a, **k),
        )
        refused = await _refused(SmtpMailer(url, SENDER, tls=trusting()))

    assert str(refused) == "The mail server's certificate can't be verified."


@pytest.mark.parametrize(
    ("command", "answer", "told", "temporary"),
    [
        ("MAIL", "452 4.3.1 Disk full", "The mail server answered 452 4.3.1.", True),
        ("RCPT", "450 4.2.0 Greylisted", "The mail server answered 450 4.2.0.", True),
        ("RCPT", "550 5.1.1 No such user", "The mail server answered 550 5.1.1.", False),
        ("RCPT", "550 go away", "The mail server answered 550.", False),
        ("DATA", "451 4.7.1 Later", "The mail server answered 451 4.7.1.", True),
        ("DATA", "554 5.7.1 Spam", "The mail server answered 554 5.7.1.", False),
    ],
)
async def test_refusal_says_whether_it_may_pass(
    box: Mailbox, command: str, answer: str, told: str, temporary: bool
) -> None:
    box.answer_once(command, answer)
    mailer = SmtpMailer(box.url, SENDER)

    refused = await _refused(mailer)
    assert (str(refused), refused.temporary) == (told, temporary)
    assert box.letters == []
    await mailer.send(MAIL)
    assert len(box.letters) == 1


async def test_refusal_for_good_stays_one(box: Mailbox) -> None:
    box.answer_always("RCPT", "550 5.7.1 Blocked")
    mailer = SmtpMailer(box.url, SENDER)

    assert [(await _refused(mailer)).temporary for _ in range(2)] == [False, False]


async def test_nobody_listening_is_temporary() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    refused = await _refused(SmtpMailer(f"smtp://{HOST}:{port}", SENDER))

    assert refused.temporary
    assert "ConnectionRefusedError" in str(refused)


async def test_hang_at_the_end_of_the_mail_is_temporary(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_module, "WHOLE_SECONDS", 0.3)
    box.hang_at("DATA")

    assert (await _refused(SmtpMailer(box.url, SENDER))).temporary


async def test_server_that_says_nothing_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_module, "CONNECT_SECONDS", 0.1)
    with socket.create_server((HOST, 0)) as silent:
        refused = await _refused(SmtpMailer(f"smtp://{HOST}:{silent.getsockname()[1]}", SENDER))

    assert refused.temporary


@pytest.mark.parametrize("goodbye", ["421 4.3.2 Going down", ""])
async def test_what_happens_after_the_mail_was_taken_is_no_failure(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch, goodbye: str
) -> None:
    monkeypatch.setattr(mail_module, "GOODBYE_SECONDS", 0.1)
    if goodbye:
        box.answer_once("QUIT", goodbye)
    else:
        box.hang_at("QUIT")
    await SmtpMailer(box.url, SENDER).send(MAIL)

    assert len(box.letters) == 1


async def test_cancelled_send_ends_its_connection(box: Mailbox) -> None:
    box.hang_at("DATA")
    task = asyncio.create_task(SmtpMailer(box.url, SENDER).send(MAIL))
    assert await asyncio.to_thread(box.is_hanging.wait, PATIENCE_SECONDS)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(box.is_given_up.wait, PATIENCE_SECONDS)


async def test_no_exception_repeats_a_secret() -> None:
    """A server may quote all that it was sent, as a filter does that refuses a link."""
    with Mailbox(login=LOGIN) as box:
        mailer = SmtpMailer(_url(box, login=LOGIN), SENDER)
        wrong = SmtpMailer(_url(box, login=(LOGIN[0], PASSWORD + "x")), SENDER)
        errors = [await _refused(wrong)]
        for command in ("MAIL", "RCPT", "DATA"):
            box.answer_once(command, f"550 5.7.1 {LINK} {PASSWORD} ada@example.com refused")
            errors.append(await _refused(mailer))

    assert [str(error) for error in errors] == [
        "The mail server answered 535 5.7.8.",
        *["The mail server answered 550 5.7.1."] * 3,
    ]
    for error in errors:
        assert error.__cause__ is None
        assert error.__context__ is None
        for secret in (CANARY, "canary", LOGIN[0], "ada@example.com"):
            assert secret not in _told(error)
    assert CANARY not in repr(MAIL)
    assert "canary" not in repr(mailer) + str(mailer)


def test_planted_secret_in_an_exception_is_seen() -> None:
    planted = MailNotSent("x", temporary=True)
    planted.__cause__ = ValueError(LINK)

    assert CANARY in _told(planted)


async def test_file_holds_the_mail(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mail"
    await FileMailer(folder, SENDER).send(MAIL)

    (file,) = folder.iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{32}\.eml", file.name)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Your new password")
    assert file.read_bytes().endswith(TEXT.encode())
    assert re.findall(rb"^https?://\S+$", file.read_bytes(), re.MULTILINE) == [LINK.encode()]


async def test_file_takes_what_is_beyond_ascii(tmp_path: Path) -> None:
    await FileMailer(tmp_path, SENDER).send(Mail("jörg@bücher.example", "Grüße", "schön\n"))

    content = _files(tmp_path)[0].decode()
    assert "To: jörg@xn--bcher-kva.example\n" in content
    assert content.endswith("\n\nschön\n")


async def test_files_are_never_seen_half_and_sort_by_time(tmp_path: Path) -> None:
    mailer, seen, is_done = FileMailer(tmp_path, SENDER), 0, asyncio.Event()

    async def write() -> None:
        for n in range(50):
            await mailer.send(Mail("ada@example.com", f"No {n}", TEXT * 200))
        is_done.set()

    writing = asyncio.create_task(write())
    while not is_done.is_set():
        for content in await asyncio.to_thread(_visible, tmp_path):
            assert content.endswith(b"30 minutes.\n")
            seen += 1
        await asyncio.sleep(0)
    await writing
    subjects = [message_from_bytes(content)["Subject"] for content in _files(tmp_path)]
    assert subjects == [f"No {n}" for n in range(50)]
    assert seen


async def test_folder_that_cannot_be_written_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("in the way")

    refused = await _refused(FileMailer(tmp_path / "mail", SENDER))
    assert refused.temporary
    assert CANARY not in _told(refused)


@pytest.mark.parametrize(
    ("environment", "smtp_url", "kind"),
    [
        (Environment.DEVELOPMENT, "", FileMailer),
        (Environment.TEST, "", FileMailer),
        (Environment.PRODUCTION, "", type(None)),
        (Environment.DEVELOPMENT, "smtp://localhost", SmtpMailer),
        (Environment.PRODUCTION, "smtps://user:word@mail.example.com", SmtpMailer),
    ],
)
async def test_settings_choose_the_way(
    tmp_path: Path, environment: Environment, smtp_url: str, kind: type[object]
) -> None:
    settings = settings_for("sqlite+aiosqlite://", "", environment=environment, smtp_url=smtp_url)

    assert isinstance(open_mailer(settings, tmp_path), kind)


async def test_without_mail_from_the_sender_is_a_default(tmp_path: Path) -> None:
    mailer = open_mailer(settings_for("sqlite+aiosqlite://", ""), tmp_path)
    assert mailer is not None
    await mailer.send(MAIL)

    message = message_from_bytes(_files(tmp_path)[0])
    assert message["From"] == "Tessera <noreply@localhost>"


@pytest.mark.parametrize(
    "bad", [{"mail_from": f"nobody {CANARY}"}, {"smtp_url": f"smtp://u:{CANARY}@h:99999"}]
)
def test_settings_that_cannot_be_read_refuse_the_start(bad: dict[str, str]) -> None:
    with pytest.raises(RefusedStart) as caught:
        open_mailer(settings_for("sqlite+aiosqlite://", "", **bad))

    assert CANARY not in _told(caught.value)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://relay", 25),
        ("smtp://user:word@relay", 587),
        ("smtps://relay", 465),
        ("smtps://user:word@[::1]:4650", 4650),
    ],
)
def test_port_follows_the_kind_of_server(url: str, port: int) -> None:
    assert SmtpMailer(url, SENDER)._port == port
