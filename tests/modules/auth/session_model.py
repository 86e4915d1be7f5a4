"""What is promised about the credentials of one account. Times are seconds; an answer is a status and a code."""

from dataclasses import dataclass, field

GRACE, ACCESS, IDLE, ABSOLUTE, TEMPORARY = 10, 15 * 60 + 5, 30 * 86_400, 90 * 86_400, 3 * 86_400
OK, REUSED, REVOKED = (200, ""), (401, "token_reused"), (401, "token_revoked")
WRONG, BLOCKED, BAD_KEY = (401, "invalid_credentials"), (403, "account_blocked"), (401, "api_key_invalid")
MUST_CHANGE, NOT_FOUND = (403, "password_change_required"), (404, "not_found")
EXPIRED = (401, "token_expired")
NEVER = float("inf")
Answer = tuple[int, str]


@dataclass(eq=False)
class Session:
    began: int
    issued: list[int]  # when each refresh token of the chain was: all but the last one are spent
    is_ended: bool = False


@dataclass
class Account:
    password: str
    now: int = 0
    is_blocked: bool = False
    is_deleted: bool = False
    password_ends: float = NEVER  # the password of an administrator does end, and must be changed
    sessions: list[Session] = field(default_factory=list)

    def login(self, password: str) -> Answer:
        if self.is_deleted or password != self.password or self.now >= self.password_ends:
            return WRONG
        return BLOCKED if self.is_blocked else OK

    def use(self, session: Session, issued: int, *, changing: bool = False) -> Answer:
        if self.now > issued + ACCESS:
            return EXPIRED
        if session.is_ended or self.now >= session.began + ABSOLUTE:
            return REVOKED
        return MUST_CHANGE if self.password_ends < NEVER and not changing else OK

    def use_key(self, *, is_revoked: bool) -> Answer:
        return BAD_KEY if is_revoked or self.is_blocked or self.is_deleted else OK

    def refresh(self, session: Session, number: int) -> Answer:
        if session.is_ended or self.now >= session.began + ABSOLUTE:
            return REVOKED
        if self.now >= session.issued[number] + IDLE:
            return EXPIRED
        children = session.issued[number + 1 :] or [self.now]  # the first was issued when this one was spent
        session.is_ended = len(children) > 1 or self.now >= children[0] + GRACE
        session.issued = session.issued[: number + 1] + children
        return REUSED if session.is_ended else OK

    def end_all(self, but: Session | None = None) -> None:
        for session in self.sessions:
            session.is_ended |= session is not but
