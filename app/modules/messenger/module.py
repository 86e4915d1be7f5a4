"""The module's declaration."""

from app.core.module import Module
from app.modules.messenger.models import Message, Thread, ThreadMember
from app.modules.messenger.permissions import PRIVILEGES
from app.modules.messenger.router import router

MODULE = Module(
    name="messenger",
    router=router,
    privileges=PRIVILEGES,
    entities=(Thread, ThreadMember, Message),
)
