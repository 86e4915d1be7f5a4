"""Measures the running program beside a bare app on the same tables: `python3 scripts/bench.py --help`.

Needs Linux, wrk and PostgreSQL; Python packages are installed into `.venv` first. docs/PERFORMANCE.md says how
to read the table. This file itself is written so that the oldest Python in use can read it; the work is done
in the folder bench_tool beside it.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this has not been asked for a version before
    sys.stderr.write(
        "bench.py: Tessera needs Python 3.11 or newer; this is "
        + ".".join(map(str, sys.version_info[:3]))
        + ". Start it with a newer one, for example: python3.11 scripts/bench.py\n"
    )
    sys.exit(1)

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - see above

from bench_tool.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
