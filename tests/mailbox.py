"""A real SMTP server for the tests, on a free port of this machine; what arrives is kept.

It runs in a thread of its own, so that a program under test may block, hang or fail without it.
"""

import asyncio
import socket
import ssl
import tempfile
import threading
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.core.clock import now

HOST = "127.0.0.1"
STOP_SECONDS = 10
ROUNDS = 10
NAME = "mail.example.com"  # in the certificate too; tests make it lead here


@dataclass(frozen=True)
class Letter:
    """One mail as it came over the wire."""

    sender: str
    recipients: list[str]
    options: list[str]  # of MAIL FROM, in capitals
    content: bytes
    is_encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """The same, parsed."""
        return message_from_bytes(self.content, policy=policy.default)  # type: ignore[arg-type,return-value,unused-ignore]

    @property
    def text(self) -> str:
        """The body, decoded, with plain line ends."""
        return str(self.message.get_content()).replace("\r\n", "\n")


class Mailbox:
    """`with Mailbox() as box:` serves at `box.url`; `box.letters` are what arrived, in order.

    `login`: mail only after AUTH with this user and password. `starttls`: offered, with a self-signed certificate
    (`trusting()` believes it), and AUTH only behind it. `smtps`: TLS from the start. `lacks`: extensions that EHLO
    doesn't mention.
    """

    def __init__(
        self,
        *,
        login: tuple[str, str] | None = None,
        starttls: bool = False,
        smtps: bool = False,
        lacks: frozenset[str] = frozenset(),
    ) -> None:
        self.letters: list[Letter] = []
        self.logins: list[tuple[str, str]] = []
        self.is_hanging, self.is_given_up = threading.Event(), threading.Event()
        self._login, self._lacks = login, lacks
        self._once: dict[str, list[str]] = {}
        self._always: dict[str, str] = {}
        self._hangs_at = ""
        self._parameters: dict[str, Any] = {
            "ssl_context": _server_context() if smtps else None,
            "tls_context": _server_context() if starttls else None,
            "auth_require_tls": starttls,
            "authenticator": self._authenticate,
            "server_hostname": NAME,
        }

    def __enter__(self) -> Self:
        self._socket = socket.create_server((HOST, 0))
        self._controller = _Controller(self, self._socket, **self._parameters)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()
        self._socket.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """For SMTP_URL, without a login."""
        return f"smtp://{HOST}:{self.port}"

    def answer_once(self, command: str, line: str) -> None:
        """The next `MAIL`, `RCPT` or `DATA` gets this answer: `451 4.3.0 Later`."""
        self._once.setdefault(command, []).append(line)

    def answer_always(self, command: str, line: str) -> None:
        """As `answer_once`, for good."""
        self._always[command] = line

    def hang_at(self, command: str) -> None:
        """From now on this command gets no answer: `is_hanging`, and `is_given_up` once the client is gone."""
        self._hangs_at = command

    async def _refusal(self, command: str) -> str | None:
        if self._hangs_at == command:
            self.is_hanging.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.is_given_up.set()
        if waiting := self._once.get(command):
            return waiting.pop(0)
        return self._always.get(command)

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given)
        return AuthResult(success=given == self._login, auth_data=data, handled=False)

    # The hooks of aiosmtpd, called by these names.

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if line[4:].split()[0] not in self._lacks]

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        # Asked here and not by `auth_required`, which warns where there is no TLS: that case is tested too.
        if self._login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._refusal("MAIL") or "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if refusal := await self._refusal("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if refusal := await self._refusal("DATA"):
            return refusal
        data, content = session.auth_data, envelope.content
        assert isinstance(content, bytes)
        letter = Letter(
            sender=str(envelope.mail_from),
            recipients=[str(recipient) for recipient in envelope.rcpt_tos],
            options=sorted(option.upper() for option in envelope.mail_options),
            content=content,
            is_encrypted=session.ssl is not None,
            user=data.login.decode() if isinstance(data, LoginPassword) else None,
        )
        self.letters.append(letter)
        return "250 2.0.0 OK"

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return await self._refusal("QUIT") or "221 2.0.0 Bye"


class _Controller(Controller):
    """On a socket that is bound already: a port that was only looked for may be gone. Leaves nothing open."""

    def __init__(self, handler: Mailbox, listener: socket.socket, **parameters: Any) -> None:
        super().__init__(handler, hostname=HOST, port=listener.getsockname()[1], **parameters)
        self._listener = listener
        self._connections: list[SMTP] = []

    def factory(self) -> SMTP:
        self._connections.append(SMTP(self.handler, **self.SMTP_kwargs))
        return self._connections[-1]

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(STOP_SECONDS)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        """Else the loop ends with sockets open, which the suite counts as a fault of the test at hand."""
        await _rounds()  # for whoever is being accepted
        for connection in self._connections:
            for transport in (connection.transport, connection._original_transport):
                if isinstance(transport, asyncio.WriteTransport):
                    transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await _rounds()

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener, ssl=self.ssl_context)


async def _rounds() -> None:
    """A transport is made, and an aborted one closes its socket, in the loop's next rounds; with TLS in the third."""
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


def trusting() -> ssl.SSLContext:
    """What a client needs that believes in the mailbox's certificate."""
    return ssl.create_default_context(cadata=_certificate()[1].decode())


@cache
def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:  # `ssl` reads keys from files only
        file = Path(folder) / "server.pem"
        file.write_bytes(b"".join(_certificate()))
        context.load_cert_chain(file)
    return context


@cache
def _certificate() -> tuple[bytes, bytes]:
    """Key and self-signed certificate, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    names = [x509.DNSName(NAME), x509.DNSName("localhost"), x509.IPAddress(ip_address(HOST))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(pem),
    )
