"""The program with a route that takes uploads chunk by chunk; uvicorn makes it in a process of its own.

Imports nothing of the test kit: that would take the settings out of the environment.
"""

from fastapi import FastAPI, Request

from app.auth.dependencies import public
from app.core.config import get_settings
from app.core.module import Module
from app.core.routing import ModuleRouter
from app.main import create_app
from app.registry import catalog_of, discover


def make() -> FastAPI:
    """The app, under the settings of the environment."""
    router = ModuleRouter("/uploads", tags=["uploads"])

    @router.post("/swallow", dependencies=[public("A probe.")])
    async def swallow(request: Request) -> dict[str, int]:
        size = largest = 0
        async for chunk in request.stream():
            size, largest = size + len(chunk), max(largest, len(chunk))
        return {"size": size, "largest": largest}

    return create_app(
        get_settings(), catalog_of([*discover().modules, Module(name="uploads", router=router)])
    )
