"""Where the servers' programs are looked for, and what is said when they are nowhere."""

import shutil
import sys
from pathlib import Path

import pytest

from tests import server_binaries, server_process
from tests.server_binaries import ServerMissingError, find_postgres, find_redis, programs_for
from tests.services import RedisServer, start_services


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine where nothing is installed; its PATH is the returned folder."""
    for variable in ("TEST_POSTGRES_URL", "TEST_REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(server_binaries, "VERSIONED_POSTGRES", tmp_path / "postgresql")
    monkeypatch.setattr(server_binaries, "wheel_postgres", lambda: None)
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


@pytest.mark.usefixtures("bare_machine")
def test_missing_servers_name_the_commands_that_install_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServerMissingError, match="apt-get install postgresql"):
        find_postgres()
    with pytest.raises(ServerMissingError, match="apt-get install redis-server"):
        find_redis()
    with pytest.raises(ServerMissingError, match=r"(?s)postgresql.*redis-server"):
        start_services()
    assert server_binaries.main() == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.usefixtures("bare_machine")
def test_missing_redis_fails_at_start_and_not_by_a_skip() -> None:
    with pytest.raises(ServerMissingError, match="redis-server is missing"):
        RedisServer(own=True).start()


@pytest.mark.usefixtures("bare_machine")
def test_given_urls_need_no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_POSTGRES_URL", "postgresql://somewhere/test")
    assert [line.split()[0] for line in server_binaries.missing_servers()] == ["redis-server"]
    monkeypatch.setenv("TEST_REDIS_URL", "redis://somewhere")
    assert server_binaries.main() == 0


def test_newest_complete_system_version_wins(bare_machine: Path) -> None:
    for version in ("9.6", "13", "15", "16", "18"):
        folder = bare_machine / "postgresql" / version / "bin"
        folder.mkdir(parents=True)
        for program in ("initdb", "postgres"):
            (folder / program).touch(0o755)
    newest = bare_machine / "postgresql" / "18" / "bin"
    assert find_postgres() == newest
    (newest / "initdb").unlink()
    assert find_postgres().parent.name == "16"
    for version in ("15", "16"):
        shutil.rmtree(bare_machine / "postgresql" / version)
    with pytest.raises(ServerMissingError):  # 13 and 9.6 are too old
        find_postgres()


def test_programs_closed_to_the_server_user_are_copied(tmp_path: Path) -> None:
    closed, folder = tmp_path / "closed", tmp_path / "folder"
    (closed / "package" / "bin").mkdir(parents=True)
    (closed / "package" / "share").mkdir()
    (closed / "package" / "bin" / "postgres").touch(0o755)
    (folder).mkdir()
    closed.chmod(0o700)
    binaries = closed / "package" / "bin"
    assert programs_for(None, binaries, folder) == binaries
    user = server_process.unprivileged_user()
    if user is None:
        return  # only root starts servers as somebody else
    copied = programs_for(user, binaries, folder)
    assert copied.is_relative_to(folder)
    assert (copied / "postgres").owner() == user
    assert (copied.parent / "share").is_dir()
