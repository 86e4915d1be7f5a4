"""Runs a command, and turns what it raises into a line and an exit code."""

import asyncio
import os
import sys
from collections.abc import Sequence

from app.core.config import RefusedStart, load_settings
from app.core.context import as_operator
from app.core.errors import AppError
from app.core.evidence.anchors import AnchorFault
from app.core.evidence.destinations import StorageFault
from app.core.evidence.locks import Busy
from app.core.evidence.runs import VerificationFailed
from app.core.evidence.segment_files import Damaged
from app.core.evidence.signing import KeyFault
from app.core.logging import configure
from archive_tool.commands import COMMANDS
from archive_tool.context import Context
from archive_tool.options import parse
from archive_tool.screen import Screen

UNVERIFIED, STORAGE, BUSY, REFUSED = 3, 4, 75, 78


def main(words: Sequence[str]) -> int:
    """The exit code: 0, 2 for wrong use, 3 unverified, 4 storage, 75 busy, 78 refused settings, else 1."""
    options = parse(words)
    try:
        settings = load_settings()
        configure(level="ERROR", json_console=settings.json_console, folder=None)
        with Screen(as_json=options.json, quiet=options.quiet) as screen, as_operator() as actor:
            actor.reason = getattr(options, "reason", None)
            context = Context(settings, options, screen)
            is_sound = asyncio.run(COMMANDS[options.command](context))
    except RefusedStart as error:
        return _fail(REFUSED, *(f"refused to start: {line}" for line in str(error).splitlines()))
    except (VerificationFailed, Damaged) as error:
        return _fail(UNVERIFIED, f"not verified: {error}")
    except (StorageFault, AnchorFault) as error:
        return _fail(STORAGE, f"storage: {error}")
    except Busy:
        return _fail(BUSY, "another run is active; nothing was touched")
    except AppError as error:
        return _fail(1, f"error: {error.detail}")
    except BrokenPipeError:  # whoever reads the rows has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyFault, OSError, RuntimeError, ValueError) as error:
        return _fail(1, f"error: {error}".splitlines()[0])
    return 0 if is_sound else UNVERIFIED


def _fail(code: int, *lines: str) -> int:
    for line in lines:
        sys.stderr.write(f"{line}\n")
    return code
