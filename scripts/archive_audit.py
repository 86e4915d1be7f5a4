"""Moves old rows of the audit logs into files, proves them, brings them back: `archive_audit.py --help`.

Runs in the interpreter that has the program's packages: with `.venv`, in that one. docs/AUDIT_OPERATIONS.md says
when to use which command. This file itself is written so that the oldest Python in use can read it; the work is done in
the folder archive_tool beside it.
"""

import importlib.util
import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this has not been asked for a version before
    sys.stderr.write(
        "archive_audit.py: Tessera needs Python 3.11 or newer; this is "
        + ".".join(map(str, sys.version_info[:3]))
        + ". Start it with a newer one, for example: python3.11 scripts/archive_audit.py list\n"
    )
    sys.exit(1)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - see above
sys.path.append(ROOT)
PYTHON = os.path.join(ROOT, ".venv", "bin", "python")  # noqa: PTH118 - see above

if importlib.util.find_spec("sqlmodel") is None:
    if not os.access(PYTHON, os.X_OK) or sys.prefix == os.path.join(ROOT, ".venv"):  # noqa: PTH118 - see above
        sys.stderr.write(
            "archive_audit.py: the program's packages are not installed; see the beginning of the README\n"
        )
        sys.exit(1)
    os.execv(PYTHON, [PYTHON, os.path.abspath(__file__), *sys.argv[1:]])  # noqa: PTH100, S606 - no shell is wanted

from archive_tool.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
