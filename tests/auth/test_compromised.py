"""The list of common and breached passwords: what it knows, what it leaves alone, and that it can't be left out."""

import gzip
import io
import random
import socket
import string
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import build_password_list as builder
import pytest

from app.auth import compromised
from app.auth.compromised import MAGIC, PATH, WIDTH, DamagedList, PasswordList, is_compromised, shipped
from app.auth.passwords import check_policy
from app.core.errors import AppError, CompromisedPassword, WeakPassword
from seeds.users import PASSWORD as SEEDED
from tests.api import PASSWORD, Api, assert_problem

KNOWN = [
    # in the lists, word for word
    *("passwordstandard", "123456789987654321", "123456789qwerty", "manchesterunited"),
    *("worldofwarcraft", "stairwaytoheaven", "cristianoronaldo", "30secondstomars"),
    *("perasperaadastra", "losangeleslakers", "lifeisbeautiful", "1q2w3e4r5t6y7u8i9o0p"),
    # repeated
    *("passwordpassword", "iloveyouiloveyou", "qwertyqwertyqwerty", "adminadminadmin"),
    *("letmeinletmeinl", "welcomewelcome123"),
    # filled up
    *("password12345678", "changeme1234567", "administrator1111111"),
    # walks
    *("123456789012345", "0123456789012345", "987654321098765", "qwertyuiopasdfghjklzxcvbnm"),
    *("1qaz2wsx3edc4rfv", "q1w2e3r4t5y6u7i8", "abcdefghijklmno", "zyxwvutsrqponml", "qwertzuiopasdfg"),
    *("йцукенгшщзхъфыва",),
    # one character
    *("aaaaaaaaaaaaaaa", "7" * 32),
]
UNKNOWN = [
    PASSWORD,
    SEEDED,
    "another horse another battery",
    "\N{GRINNING FACE}" * 15,
    "\u00e9" * 15,
    "x" * 33,
    "x" * 64,
    "x" * 128,
    "vuxkqhzrowmtbne",
    "password password",
    " passwordpassword",
    "passwordpassword ",
    "p a s s w o r d s a r e o l d",
    "qwerty is not the only keyboard",
]


def wide(text: str) -> str:
    """The same in full-width forms, which NFKC takes back."""
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def check(password: str, *, min_length: int = 15, email: str = "ada@example.com") -> None:
    check_policy(password, min_length=min_length, email=email, full_name="Ada Byron", field="new")


def refusal(password: str, *, min_length: int = 15, email: str = "ada@example.com") -> AppError:
    with pytest.raises(AppError) as caught:
        check(password, min_length=min_length, email=email)
    return caught.value


@pytest.fixture
def planted_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the program looks for the list; there is none yet."""
    monkeypatch.setattr(compromised, "PATH", tmp_path / PATH.name)
    shipped.cache_clear()
    yield compromised.PATH
    shipped.cache_clear()


@pytest.mark.parametrize("password", KNOWN)
def test_known_password_is_refused_in_any_case_and_width(password: str) -> None:
    assert len(password) >= 15
    for variant in {password, password.upper(), password.title(), password.swapcase(), wide(password)}:
        assert is_compromised(variant)
        refused = refusal(variant)
        assert isinstance(refused, CompromisedPassword)
        assert (refused.status, refused.code) == (422, "compromised_password")
        (error,) = refused.errors
        assert (error["loc"], error["code"]) == (["body", "new"], "compromised_password")
        assert variant not in str(refused.errors) + refused.detail


@pytest.mark.parametrize("password", UNKNOWN)
def test_nothing_like_it_is_refused(password: str) -> None:
    assert not is_compromised(password)
    check(password)


def test_chance_is_left_alone() -> None:
    chance = random.Random(1)
    for alphabet in (string.ascii_lowercase, string.digits, string.printable):
        made = ["".join(chance.choices(alphabet, k=15)) for _ in range(2000)]
        assert not [password for password in made if is_compromised(password)]


def test_lower_minimum_meets_the_short_ones() -> None:
    for password in ("password", "12345678", "Iloveyou", "sunshine", "abcdefgh", "PASSWORD1"):
        assert isinstance(refusal(password, min_length=8), CompromisedPassword)
    check("wqzkvtmp", min_length=8)


def test_list_without_the_entry_accepts_it(planted_file: Path) -> None:
    planted_file.write_bytes(PasswordList.of(["passwordstandard", "one more"]).to_bytes())
    assert isinstance(refusal("PasswordStandard"), CompromisedPassword)
    check("passwordpassword")
    assert len(shipped()) == 2
    assert "passwordpassword" not in PasswordList.of([])


def test_length_comes_first_then_context_then_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def watched(password: str) -> bool:
        asked.append(password)
        return True

    monkeypatch.setattr("app.auth.passwords.is_compromised", watched)
    assert isinstance(refusal("12345678901234"), WeakPassword)
    assert isinstance(refusal("1234567890" * 13), WeakPassword)
    assert isinstance(refusal("passwordpassword", email="password@example.com"), WeakPassword)
    assert not asked
    assert isinstance(refusal("passwordpassword"), CompromisedPassword)
    assert asked == ["passwordpassword"]


def test_no_network_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was asked")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, cut)
    shipped.cache_clear()
    assert is_compromised("passwordpassword")
    assert not is_compromised(PASSWORD)


# the file


def in_order(known: PasswordList) -> bool:
    body = known.fingerprints
    parts = [body[at : at + WIDTH] for at in range(0, len(body), WIDTH)]
    return all(one < other for one, other in pairwise(parts))


def test_file_is_whole_sorted_and_small() -> None:
    content = PATH.read_bytes()
    known = PasswordList.parse(content)
    assert content.startswith(MAGIC)
    assert known.to_bytes() == content
    assert len(content) < 1_000_000
    assert len(known) == int.from_bytes(content[8:12], "big") > 100_000
    assert in_order(known)
    assert not in_order(PasswordList(known.fingerprints[WIDTH : 2 * WIDTH] + known.fingerprints[:WIDTH]))
    assert not in_order(PasswordList(known.fingerprints[:WIDTH] * 2))


def damaged(content: bytes) -> Iterator[bytes]:
    yield b""
    yield content[:20]
    yield content[:-1]
    yield content[:-WIDTH]
    yield content + b"\0"
    yield content + content[-WIDTH:]
    yield b"x" + content[1:]
    yield content[:11] + bytes([content[11] ^ 1]) + content[12:]
    yield content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
    yield content.replace(b"\n", b"\r\n")


def test_damaged_file_accepts_nothing(planted_file: Path) -> None:
    content = PATH.read_bytes()
    for number, bad in enumerate(damaged(content)):
        assert bad != content, number
        planted_file.write_bytes(bad)
        for _ in range(2):  # a failure is not remembered as an empty list
            with pytest.raises(DamagedList, match=r"app/auth/compromised\.bin"):
                check(PASSWORD)
    planted_file.write_bytes(content)
    check(PASSWORD)


def test_missing_file_accepts_nothing(planted_file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(PASSWORD)
    assert not planted_file.exists()


def test_file_is_read_at_the_first_check_and_once() -> None:
    code = (
        "import app.main\n"
        "from app.auth.compromised import is_compromised, shipped\n"
        "print(shipped.cache_info().misses)\n"
        "is_compromised('one'), is_compromised('two')\n"
        "print(shipped.cache_info().misses)\n"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=PATH.parents[2], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["0", "1"]


# how it is made


def test_file_has_what_the_script_makes_up() -> None:
    made = {*builder.walked(builder.WALKS), *builder.single_characters()}
    made |= {*builder.repeated(builder.DEFAULTS), *builder.filled(builder.DEFAULTS)}
    assert len(made) > 20_000
    assert all(builder.SHORTEST <= len(text) <= builder.LONGEST for text in made)
    assert not [text for text in made if not is_compromised(text)]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with both packages, each with a list of its own."""
    archive, member = builder.SECLISTS
    content = "\n".join(["short", "Sunflower", "a-rather-long-entry", *(f"common{n:02}" for n in range(60))])
    with tarfile.open(tmp_path / archive, "w:gz") as package:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        package.addfile(entry, io.BytesIO(content.encode()))
    archive, member = builder.DJANGO
    with zipfile.ZipFile(tmp_path / archive, "w") as package:
        package.writestr(member, gzip.compress(b"elsewhere\ntiny\n"))
    return tmp_path


def test_sources_make_the_list(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builder, "PATH", sources / "made.bin")
    monkeypatch.setattr(builder, "SHORT_ENTRIES", 50)
    assert builder.main([str(sources)]) == 0
    made = (sources / "made.bin").read_bytes()
    known = PasswordList.parse(made)
    expected = ("sunflower", "a-rather-long-entry", "common48", "elsewhere", "sunflowersunflow", "9" * 8)
    assert not [text for text in expected if text not in known]
    assert not [text for text in ("short", "tiny", "common49") if text in known]
    assert "SecLists            51 new, of them       1 of 15 or more" in capsys.readouterr().out
    assert builder.main([str(sources), "--check"]) == 0
    (sources / "made.bin").write_bytes(made[:-1])
    assert builder.main([str(sources), "--check"]) == 1
    assert (sources / "made.bin").read_bytes() == made[:-1]
    assert "not what these sources give" in capsys.readouterr().err


# over HTTP


async def test_register_tells_it_at_its_field(api: Api, unique: str) -> None:
    body = {"email": f"{unique}@example.com", "password": "Manchesterunited"}
    answer = await api.post("auth/register", body)
    problem = assert_problem(answer, 422, "compromised_password")
    assert [error["loc"] for error in problem["errors"]] == [["body", "password"]]
    assert "anchesterunited" not in answer.text
    assert (await api.post("auth/register", {**body, "password": PASSWORD})).status_code == 201


async def test_admin_is_told_at_its_field(api: Api, unique: str) -> None:
    admin = await api.superuser()
    body = {"email": f"{unique}@example.com", "password": "qwertyuiopasdfg"}
    problem = assert_problem(await admin.post("users", body), 422, "compromised_password")
    assert [error["loc"] for error in problem["errors"]] == [["body", "password"]]
    assert (await admin.post("users", {**body, "password": PASSWORD})).status_code == 201


async def test_change_of_password_tells_it_at_its_field(api: Api) -> None:
    user = await api.user()
    body = {"current_password": PASSWORD, "new_password": wide("PASSWORDPASSWORD")}
    answer = await user.post("users/me/change-password", body)
    problem = assert_problem(answer, 422, "compromised_password")
    assert [error["loc"] for error in problem["errors"]] == [["body", "new_password"]]
    assert (await api.login(user.email, PASSWORD)).email == user.email


async def test_login_does_not_ask_the_list(api: Api, unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"email": f"{unique}@example.com", "password": "passwordpassword"}
    with monkeypatch.context() as patch:
        patch.setattr(compromised, "shipped", lambda: PasswordList.of([]))
        assert (await api.post("auth/register", body)).status_code == 201
    assert is_compromised(body["password"])
    assert (await api.post("auth/login", body)).status_code == 200
