"""Mail: one plain-text message to one person, over SMTP; in development a file instead.

What is mailed opens accounts. So no exception here repeats the mail, the login or the server's words (servers quote
what they refuse), and a link stands as it was written: no encoding of the body breaks lines.
"""

import asyncio
import os
import re
import ssl
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, make_msgid
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from email_validator import validate_email

from app.core.clock import now
from app.core.config import ROOT, RefusedStart, Settings
from app.core.identifiers import uuid7_hex

CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 20.0
GOODBYE_SECONDS = 1.0
MAIL_FOLDER = ROOT / "data" / "mail"
DEFAULT_SENDER = "Tessera <noreply@localhost>"

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LINE_OCTETS = 998  # RFC 5322 2.1.1
_ADDRESS = re.compile(r'[^\s@<>()\[\],;:"\\]+@[^\s@<>()\[\],;:"\\]+')
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")  # RFC 3463
_BREAKS = {"Cc", "Zl", "Zp"}


def _has_break(text: str) -> bool:
    """Whether it could end a header and begin another one."""
    return any(unicodedata.category(char) in _BREAKS for char in text)


class MailNotSent(Exception):
    """The mail did not leave. `temporary` says whether it may do so later; the text is safe to log."""

    def __init__(self, reason: str, *, temporary: bool) -> None:
        """`reason`: a sentence for operators, without anything that was to be sent."""
        super().__init__(reason)
        self.temporary = temporary


@dataclass(frozen=True)
class Mail:
    """One message. Raises ValueError for control characters in `to` or `subject`: they would end a header."""

    to: str
    subject: str
    text: str = field(repr=False)  # with a link that opens an account

    def __post_init__(self) -> None:
        for name in ("to", "subject"):
            if _has_break(getattr(self, name)):
                raise ValueError(f"the mail's {name} has control characters")


class Mailer(Protocol):
    """Hands mails over to whoever delivers them."""

    async def send(self, mail: Mail) -> None:
        """Returns when the mail is somebody else's to deliver. Raises MailNotSent."""


class FileMailer:
    """The twin without a server: each mail is a file, named so that the newest comes last."""

    def __init__(self, folder: Path, sender: str) -> None:
        """`folder` is made with the first mail; only its owner may look into it."""
        self._folder = folder
        self._sender = sender_address(sender)

    async def send(self, mail: Mail) -> None:
        """The file is there when this returns, and never half of it."""
        recipient = _recipient(mail)
        message = _message(mail, self._sender, recipient, _encoding(mail.text, takes_8bit=True))
        # Lines end as files of this machine do, for grep; SMTP's own ending is a matter of the wire.
        content = message.as_bytes(policy=policy.default.clone(utf8=_needs_utf8(self._sender, recipient)))
        try:
            await asyncio.to_thread(self._write, content)
        except OSError as error:
            raise MailNotSent(f"The mail could not be written: {error.strerror}.", temporary=True) from None

    def _write(self, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{now():%Y%m%dT%H%M%S.%fZ}-{uuid7_hex()}.eml"
        draft = self._folder / f".{name}.draft"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            draft.rename(self._folder / name)
        finally:
            draft.unlink(missing_ok=True)


class SmtpMailer:
    """One connection for each mail, encrypted wherever the server can, with certificates verified.

    `smtps://` is TLS from the start. `smtp://` is STARTTLS where it is offered; with a login it must be, unless the
    server is this machine.
    """

    def __init__(self, url: str, sender: str, *, tls: ssl.SSLContext | None = None) -> None:
        """User and password in the URL are percent-encoded; `tls` for a private authority. Raises ValueError."""
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._is_smtps = parts.scheme == "smtps"
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        # Submission takes logins (RFC 6409), a relay of one's own network doesn't.
        self._port = parts.port or (465 if self._is_smtps else 587 if self._login else 25)
        self._must_encrypt = self._login is not None and self._host not in _LOOPBACK
        self._sender = sender_address(sender)
        self._tls = tls

    async def send(self, mail: Mail) -> None:
        """Returns when the server has taken the mail. Raises MailNotSent, after 20 seconds at the latest."""
        recipient = _recipient(mail)
        client = SMTP(
            hostname=self._host,
            port=self._port,
            # Else the library asks DNS for this machine's name, which can take longer than the mail.
            local_hostname=self._sender.domain,
            timeout=WHOLE_SECONDS,
            use_tls=self._is_smtps,
            start_tls=False,
            tls_context=self._tls,
        )
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                await self._open(client)
                await self._deliver(client, mail, recipient)
        except MailNotSent as known:
            fault = known
        except (SMTPException, OSError, ValueError) as error:
            fault = _fault(error)
        else:
            return
        finally:
            client.close()
        # Outside of the handler: what the server said does not travel along as the cause.
        raise fault

    async def _open(self, client: SMTP) -> None:
        await client.connect(timeout=CONNECT_SECONDS)
        await client.ehlo()
        if not self._is_smtps:
            if client.supports_extension("starttls"):
                await client.starttls()
                await client.ehlo()
            elif self._must_encrypt:
                raise MailNotSent(
                    "The mail server offers no STARTTLS, and there is a login.", temporary=False
                )
        if self._login is not None:
            if not client.supported_auth_methods:
                raise MailNotSent("The mail server offers no login that is known here.", temporary=False)
            await client.login(*self._login)

    async def _deliver(self, client: SMTP, mail: Mail, recipient: Address) -> None:
        takes_8bit = client.supports_extension("8bitmime")
        encoding = _encoding(mail.text, takes_8bit=takes_8bit)
        is_utf8 = _needs_utf8(self._sender, recipient)
        if is_utf8 and not client.supports_extension("smtputf8"):
            raise MailNotSent("The mail server takes addresses in ASCII only.", temporary=False)
        options = ["SMTPUTF8"] * is_utf8 + ["BODY=8BITMIME"] * (
            takes_8bit and (is_utf8 or encoding == "8bit")
        )
        charset = "utf-8" if is_utf8 else "ascii"
        message = _message(mail, self._sender, recipient, encoding)
        await client.mail(self._sender.addr_spec, options=options, encoding=charset)
        await client.rcpt(recipient.addr_spec, encoding=charset)
        await client.data(message.as_bytes(policy=policy.SMTPUTF8 if is_utf8 else policy.SMTP))
        # The mail is the server's from here on: what goes wrong now must not make anybody send it again.
        with suppress(SMTPException, OSError):
            await client.quit(timeout=GOODBYE_SECONDS)


def open_mailer(settings: Settings, folder: Path = MAIL_FOLDER) -> Mailer | None:
    """SMTP where it is set, else files in `folder`; None in production without SMTP. Raises RefusedStart."""
    sender = settings.mail_from or DEFAULT_SENDER
    try:
        if settings.smtp_url:
            return SmtpMailer(settings.smtp_url, sender)
        return None if settings.is_production else FileMailer(folder, sender)
    except ValueError:
        raise RefusedStart(["MAIL_FROM or SMTP_URL can't be read: a bad address, or a bad port"]) from None


def sender_address(text: str) -> Address:
    """`Example <noreply@example.com>`, or the address alone. Raises ValueError for anything else."""
    if _has_break(text) or len(found := getaddresses([text])) != 1:
        raise ValueError("no e-mail address")
    name, address = found[0]
    return _address(address, name)


def _recipient(mail: Mail) -> Address:
    try:
        return _address(mail.to)
    except ValueError:
        pass
    raise MailNotSent("The recipient is no e-mail address.", temporary=False)


def _address(address: str, name: str = "") -> Address:
    """The domain in its ASCII form (IDNA 2008), which every server takes; only local parts need SMTPUTF8."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError("no e-mail address")
    local, domain = address.rsplit("@", 1)
    if not domain.isascii():
        domain = validate_email(address, check_deliverability=False, test_environment=True).ascii_domain
    return Address(name, local, domain)


def _needs_utf8(*addresses: Address) -> bool:
    """RFC 6531 is asked for only where a local part leaves no choice: not every server speaks it."""
    return not all(address.addr_spec.isascii() for address in addresses)


def _encoding(text: str, *, takes_8bit: bool) -> str:
    """Never quoted-printable, which breaks long lines: a link must stay in one piece."""
    if any(len(line) > _LINE_OCTETS for line in text.encode().splitlines()):
        return "base64"
    if text.isascii():
        return "7bit"
    return "8bit" if takes_8bit else "base64"


def _message(mail: Mail, sender: Address, recipient: Address, encoding: str) -> EmailMessage:
    message = EmailMessage()
    message["Date"] = format_datetime(now())
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = mail.subject
    message["Message-ID"] = make_msgid(domain=sender.domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes, please
    message.set_content(mail.text, cte=encoding)
    return message


def _fault(error: BaseException) -> MailNotSent:
    """What to say about it: of an answer only its numbers, of everything else only its kind."""
    if isinstance(error, SMTPResponseException):
        enhanced = _ENHANCED.match(error.message)
        numbers = f"{error.code} {enhanced[0]}" if enhanced else str(error.code)
        return MailNotSent(f"The mail server answered {numbers}.", temporary=error.code < 500)  # noqa: PLR2004
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in (error, error.__cause__)):
        return MailNotSent("The mail server's certificate can't be verified.", temporary=False)
    # Refused, reset, unknown host, out of time: all of them OSErrors, the library's own kinds included.
    kind = type(error.__cause__ or error).__name__
    return MailNotSent(f"The mail server can't be talked to: {kind}.", temporary=isinstance(error, OSError))
