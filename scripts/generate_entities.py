"""Makes modules of a blueprint, and merges later changes of it into them: `generate_entities.py --help`.

Runs in the interpreter that has the development packages: with `.venv`, in that one, which is made and filled first
where it has to be, as by scripts/dev.py. docs/BLUEPRINT_GUIDE.md tells
what can stand in a blueprint. This file itself is written so that the oldest Python in use can read it; the work is
done in the folder blueprint_tool beside it.
"""

import importlib.util
import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this has not been asked for a version before
    sys.stderr.write(
        "generate_entities.py: Tessera needs Python 3.11 or newer; this is "
        + ".".join(map(str, sys.version_info[:3]))
        + ". Start it with a newer one, for example: python3.11 scripts/generate_entities.py --help\n"
    )
    sys.exit(1)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - see above
sys.path.append(ROOT)
PYTHON = os.path.join(ROOT, ".venv", "bin", "python")  # noqa: PTH118 - see above

if importlib.util.find_spec("sqlmodel") is None or importlib.util.find_spec("ruff") is None:
    from dev_tool.processes import DevError
    from dev_tool.virtual_environment import DEVELOPMENT, VirtualEnvironment

    try:
        VirtualEnvironment().ensure(DEVELOPMENT)
    except DevError as error:
        sys.stderr.write(f"generate_entities.py: {error}\n")
        sys.exit(error.exit_code)
    os.execv(PYTHON, [PYTHON, os.path.abspath(__file__), *sys.argv[1:]])  # noqa: PTH100, S606 - no shell is wanted

from blueprint_tool.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
