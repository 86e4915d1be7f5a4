"""Headers that answers share."""

from urllib.parse import quote

from fastapi import Request, Response


def created(request: Request, response: Response, name: object) -> None:
    """`Location` of what was made: below the path that was asked for (RFC 9110 10.2.2)."""
    response.headers["Location"] = f"{request.scope['path']}/{quote(str(name), safe=':')}"


def secret(response: Response) -> None:
    """For answers that carry credentials (RFC 6749 5.1)."""
    response.headers["Cache-Control"] = "no-store"
