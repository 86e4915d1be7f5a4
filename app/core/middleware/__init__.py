"""Pure ASGI middleware, one file each. `BaseHTTPMiddleware` costs more than a whole request and sees no aborts."""
