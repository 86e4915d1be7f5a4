"""The whole ritual of developing Tessera: `python3 scripts/dev.py run`, `test`, `check` and `lock`.

Needs nothing but a Python: what the commands use is installed into `.venv` first. This file itself is
written so that the oldest Python in use can read it, and so can say what is wrong with it; the work is done
in the folder dev_tool beside it.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this has not been asked for a version before
    sys.stderr.write(
        "dev.py: Tessera needs Python 3.11 or newer; this is "
        + ".".join(map(str, sys.version_info[:3]))
        + " ("
        + sys.executable
        + "). Start it with a newer one, for example: python3.11 scripts/dev.py run\n"
    )
    sys.exit(1)

from dev_tool.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
