"""The rig finds what it is there to find: late acceptance, lost survivors, false alarms, and too little of a load."""

import pytest

from tests.conftest import NO_SERVICES
from tests.hammering.load import ALIVE, DEAD, FORBIDDEN, STRIPPED, Bearer, Deed, Fate, faults
from tests.hammering.outages import OUTAGES
from tests.hammering.rig import BROKEN, Rig
from tests.hammering.sizes import FULL_ROUNDS
from tests.hammering.ways import WAYS
from tests.hammering.wire import Answer, Wire, request

DEED = Deed(began=10.0, done=11.0)
FOUND = {  # together each kind of credential, and a right by both
    "logout": {"access token", "refresh token"},
    "role taken": {"right by access token", "right by API key"},
    "key revoked": {"API key"},
}


def judged(fate: Fate, *answers: tuple[float, float, int], proof: bytes = b"") -> list[str]:
    """What is said of answers (start, end, status) besides enough good ones."""
    good = [(1.0 + n / 10, 1.05 + n / 10, 200, proof) for n in range(3)]
    accepted = proof if fate.is_accepted else b""
    good += [(12.0 + n / 10, 12.05 + n / 10, fate.status, accepted) for n in range(3)]
    probe = Bearer("token", fate, [], proof)
    probe.answers = [Answer(*answer) for answer in [*good, *((*answer, b"") for answer in answers)]]
    return faults(probe, DEED, 3)


@pytest.mark.parametrize("fate", [DEAD, FORBIDDEN, ALIVE])
def test_good_answers_are_no_fault(fate: Fate) -> None:
    assert judged(fate, (9.5, 9.9, 200), (11.5, 11.6, 503)) == []


@pytest.mark.parametrize("fate", [DEAD, FORBIDDEN])
def test_answers_while_the_deed_is_done_may_be_either(fate: Fate) -> None:
    assert judged(fate, (9.9, 11.2, 200), (10.1, 10.2, fate.status), (10.9, 11.5, 200)) == []


@pytest.mark.parametrize(
    ("fate", "answer", "fault"),
    [
        (DEAD, (11.001, 11.1, 200), "token: accepted 1.0 ms after the deed was done"),
        (FORBIDDEN, (11.5, 11.6, 200), "token: accepted 500.0 ms after the deed was done"),
        (DEAD, (11.5, 11.6, 403), "token: answered 403 and not 401, 500.0 ms after the deed"),
        (FORBIDDEN, (11.5, 11.6, 401), "token: answered 401 and not 403, 500.0 ms after the deed"),
        (ALIVE, (11.5, 11.6, 401), "token: answered 401 and not 200, 500.0 ms after the deed"),
        (ALIVE, (10.1, 10.2, 401), "token: answered 401 before anything was taken from it"),
        (DEAD, (1.0, 1.1, 401), "token: answered 401 before anything was taken from it"),
        (DEAD, (1.0, 1.1, 500), "token: answered 500"),
        (ALIVE, (11.5, 11.6, 502), "token: answered 502"),
    ],
)
def test_planted_answer_is_a_fault(fate: Fate, answer: tuple[float, float, int], fault: str) -> None:
    assert judged(fate, answer) == [fault]


def test_privilege_that_is_still_shown_is_a_fault() -> None:
    probe = Bearer("token", STRIPPED, [], b"probe:use")
    good = [Answer(1, 2, 200, b"probe:use"), Answer(12, 13, 200, b"")]
    probe.answers = good
    assert faults(probe, DEED, 1) == []
    probe.answers = [*good, Answer(12, 13, 200, b"probe:use")]
    assert faults(probe, DEED, 1) == ["token: accepted 1000.0 ms after the deed was done"]


def test_too_few_answers_are_a_fault() -> None:
    probe = Bearer("token", DEAD, [])
    probe.answers = [Answer(1, 2, 200), Answer(12, 13, 503)]
    assert faults(probe, DEED, 1) == ["token: only 1 answers before and 0 after"]


def test_full_size_has_200_rounds() -> None:
    assert FULL_ROUNDS * len(WAYS) + len(OUTAGES) * len(WAYS) >= 200


needs_servers = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")


@needs_servers
async def test_worker_that_lags_behind_is_found(rig: Rig) -> None:
    with rig.program.serving(*BROKEN, path="/health/ready") as broken:
        lagging = rig.with_users_at(broken)
        for name, credentials in FOUND.items():
            found = await lagging.play(await lagging.round(WAYS[name]))
            late = {fault.partition(":")[0] for fault in found if "after the deed was done" in fault}
            assert late == credentials, name


@needs_servers
async def test_spent_refresh_token_is_an_alarm(rig: Rig) -> None:
    user = (await rig.round(WAYS["logout"])).scene.user
    wire, token = Wire(rig.stage.there), user.refresh_token

    async def refresh(text: str) -> Answer:
        return await wire.ask(request("POST", "auth/refresh", {"refresh_token": text}))

    for _ in range(2):
        token = (await refresh(token)).json()["refresh_token"]
    assert rig.alarms(user.id) == []
    assert (await refresh(user.refresh_token)).json()["code"] == "token_reused"
    assert rig.alarms(user.id) == ["alarm: auth.refresh_reuse"]
    await wire.close()
