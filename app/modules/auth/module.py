"""The module's declaration."""

from app.core.module import Module
from app.modules.auth.models import ApiKey, AuthSession, PasswordReset, RefreshToken, ThrottleTally
from app.modules.auth.router import router

MODULE = Module(
    name="auth",
    router=router,
    depends_on=("privileges", "roles", "users"),
    entities=(AuthSession, RefreshToken, ApiKey, PasswordReset, ThrottleTally),
)
