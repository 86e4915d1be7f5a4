import json
from pathlib import Path

from app.core.logging import LineFile


def test_lines_that_were_lost_are_counted_in_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    log = LineFile(folder / "server.log")
    log.write(b'{"event":"a"}')
    log.write(b'{"event":"b"}')
    folder.unlink()
    log.write(b'{"event":"c"}')
    log.write(b'{"event":"d"}')
    log.close()
    lines = [json.loads(line) for line in (folder / "server.log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["log.lines_lost", "c", "d"]
    assert lines[0]["lines"] == 2
