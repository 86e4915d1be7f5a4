"""wrk: the script it is given, how it is started, what it reports."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench_tool.operations import Load
from dev_tool.processes import DevError

MARK = "measured:"
ANSWER_SECONDS = 10
SLACK_SECONDS = 30
_SCRIPT = """
local paths = %s
local headers = %s
local method, body = "%s", %s
local requests, at, number = {}, 0, os.time() * 1000000

function init()
  for name, value in pairs(headers) do wrk.headers[name] = value end
  for i, path in ipairs(paths) do requests[i] = wrk.format(method, path, nil, body) end
end

function request()
  at = at %% #requests + 1
  if not (body and body:find("{n}", 1, true)) then return requests[at] end
  number = number + 1
  return wrk.format(method, paths[at], nil, (body:gsub("{n}", string.format("%%d", number))))
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("%s %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class WrkResult:
    """One run of wrk. `errors`: answers that were not 2xx, and requests without an answer."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


def script(load: Load) -> str:
    """The Lua script that sends the load's paths in turn and prints one line of results."""
    paths = ", ".join(json.dumps(path) for path in load.paths)
    headers = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in load.headers.items())
    body = "nil" if load.body is None else json.dumps(load.body)
    return _SCRIPT % (f"{{ {paths} }}", f"{{ {headers} }}", load.method, body, MARK)


def parse(output: str) -> WrkResult:
    """What the script's line says. Raises ValueError where there is none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            requests, microseconds, p50, p99, refused, lost = map(int, line.removeprefix(MARK).split())
            return WrkResult(requests, microseconds / 1e6, p50 / 1e3, p99 / 1e3, refused + lost)
    raise ValueError("wrk printed no result")


def send(path: Path, port: int, clients: int, seconds: int) -> WrkResult:
    """Runs wrk with that script. Raises DevError when it fails or doesn't end."""
    command = [
        "wrk", "-t", "1", "-c", str(clients), "-d", f"{seconds}s", "--timeout", f"{ANSWER_SECONDS}s",
        "-s", str(path), f"http://127.0.0.1:{port}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + SLACK_SECONDS
        )
        return parse(done.stdout)
    except subprocess.TimeoutExpired:
        raise DevError(f"wrk did not end after {seconds + SLACK_SECONDS} s") from None
    except ValueError as error:
        raise DevError(f"{error}: {(done.stderr or done.stdout).strip()[-300:]}") from None
