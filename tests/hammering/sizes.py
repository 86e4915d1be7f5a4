"""How much is done: all of it with TEST_FULL=1, else a share of it, every way at least once."""

from tests.conftest import FULL

FULL_ROUNDS = 7
ROUNDS = FULL_ROUNDS if FULL else 1  # of each way of taking away
ENOUGH = 6 if FULL else 3  # answers that each credential must have got before the deed, and again after it
PAUSE_SECONDS = 0 if FULL else 0.01  # of a connection; refreshes, which take longest, get on faster
TOGETHER = 4  # ways in one outage, each with a user of its own: more would only wait for each other
EVERY_WAY = FULL  # in every outage; else those of SHORT
SHORT = {
    "stopped": ["block", "role taken"],
    "frozen": ["logout", "privilege taken"],
    "flushed": ["own new password", "module taken"],
    "restored": ["key revoked", "role taken and deleted"],
}
