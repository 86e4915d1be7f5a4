"""All files of one module, as texts by path: what a blueprint says of an entity, in the style of the house.

Templates hold what the files share; what depends on a type is in `kinds`. A template imports what any module may
need: `formatting` takes out what this one does not, sorts the rest and breaks the lines.
"""

from pathlib import Path

from mako.lookup import TemplateLookup

from blueprint_tool.model import Blueprint, Entity
from blueprint_tool.rendering.docstrings import folded
from blueprint_tool.rendering.page import Page
from blueprint_tool.rendering.story import Story
from blueprint_tool.rendering.view import View

_FILES = ("__init__", "models", "schemas", "permissions", "repository", "service", "router", "module")
_TEMPLATES = TemplateLookup(
    [str(Path(__file__).parent / "templates")],
    strict_undefined=True,
    imports=[
        "from blueprint_tool.rendering import kinds",
        "from blueprint_tool.rendering.words import capital, mapping, quoted",
    ],
)


def render(entity: Entity, blueprint: Blueprint) -> dict[str, str]:
    """Module, tests and page by their paths from the repo's root, not formatted yet.

    `blueprint` holds the entities that this one refers to, but for users. Raises KeyError where one is missing.
    """
    view = View(entity, blueprint)
    story = Story(view)
    texts = {f"app/modules/{entity.module}/{name}.py": _filled(f"{name}.py.mako", v=view) for name in _FILES}
    test = _filled("test_module.py.mako", v=view, s=story)
    page = _filled("page.md.mako", v=view, p=Page(view))
    return {
        **texts,
        f"tests/modules/{entity.module}/__init__.py": "",
        f"tests/modules/{entity.module}/test_{entity.module}.py": test,
        f"docs/modules/{entity.module}.md": page,
    }


def _filled(name: str, **values: object) -> str:
    text: str = _TEMPLATES.get_template(name).render(**values)
    return folded(text) if name.endswith(".py.mako") else text
