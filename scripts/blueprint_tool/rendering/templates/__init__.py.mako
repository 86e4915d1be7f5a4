"""${capital(v.many)}: ${"what belongs to whoever made it" if v.owned else "what those see and change who may"}."""
