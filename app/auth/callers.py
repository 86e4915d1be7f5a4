"""From a credential to the caller of a request or of a socket."""

from app.auth.ports import Kernel
from app.auth.principal import Credential, Principal
from app.core.context import RequestContext


async def caller_of(kernel: Kernel, credential: Credential) -> Principal:
    """Whose credential it is. Raises 401s, and Unavailable."""
    ask = kernel.authenticator.authenticate_key if credential.is_key else kernel.authenticator.authenticate
    return await ask(credential.text)


def introduce(principal: Principal, context: RequestContext) -> None:
    """Tells the request's context, and so both logs, who the caller is."""
    context.actor_type = "api_key" if principal.method == "api_key" else "user"
    context.actor_id = principal.user_id
    context.auth_method = principal.method
    context.session_id, context.api_key_id = principal.session_id, principal.api_key_id
