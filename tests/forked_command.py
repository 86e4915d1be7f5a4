"""`python -m app …` in a process that has imported all of it already."""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app import cli, commands, migrations
from app.core.config import Settings
from app.registry import discover

PREPARED = (commands, migrations, discover())


def run(words: Sequence[str], environment: Mapping[str, str], given: str, texts: Sequence[Path]) -> None:
    """Exits as the command does. `given`: its standard input; `texts`: where its two outputs go.

    There is nobody's `.env`.
    """
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, text in enumerate(texts, 1):
        os.dup2(os.open(text, os.O_WRONLY | os.O_CREAT), descriptor)
    Settings.model_config["env_file"] = None
    sys.argv, sys.stdin = ["app", *words], io.StringIO(given)
    cli.run()
