"""Two servers of one database and one Redis: what one takes away is in use at the other, without a pause."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from redis.asyncio import Redis

from tests.api import Api, Caller
from tests.backend import Backend, run_app
from tests.conftest import SECRET, settings_for
from tests.hammering.load import OVERLOADED, Deed, Probe, enough_after, faults, hammering
from tests.hammering.scenes import Stage, scene_for
from tests.hammering.sizes import ENOUGH
from tests.hammering.ways import Scene, Step, Way
from tests.hammering.wire import Answer, Wire, request
from tests.program import Program, Served, copy_project
from tests.services import RedisServer

BACK_SECONDS = 20.0
DEED_SECONDS = 60.0
LONG = 60  # minutes: no access token ends by itself before the last round
PROJECT = "tessera"
BROKEN = ("-m", "tests.hammering.broken_worker", "serve", "--port", "{port}")


@dataclass
class Round:
    """One user, what they have in use, and what is taken away."""

    way: Way
    scene: Scene
    probes: Sequence[Probe]
    deed: Deed | None = None

    def faults(self) -> list[str]:
        """What contradicts the rule."""
        assert self.deed is not None
        return [fault for probe in self.probes for fault in faults(probe, self.deed, ENOUGH)]


@dataclass(frozen=True)
class Rig:
    """`api`: an app of this process on the same database, which makes users cheaply."""

    api: Api
    admin: Caller
    program: Program
    redis: RedisServer
    stage: Stage

    def with_users_at(self, served: Served) -> "Rig":
        """The same, with the credentials in use at another worker."""
        return replace(self, stage=replace(self.stage, there=port_of(served)))

    async def round(self, way: Way) -> Round:
        """A new user for one way of taking away."""
        scene = await scene_for(way, self.api, self.admin)
        return Round(way, scene, list(self.stage.probes(way, scene)))

    async def act(self, played: Round) -> None:
        """Takes away. Asserts that it is answered with success."""
        began = time.monotonic()
        answer = await self._ask(played.way.step(played.scene))
        played.deed = Deed(began, answer.end)
        if played.way.then is not None:
            await self._ask(played.way.then(played.scene))

    async def play(self, *rounds: Round) -> list[str]:
        """In use, taken away one after the other, in use: the faults of all rounds."""
        probes = [probe for played in rounds for probe in played.probes]
        async with hammering(probes):
            await enough_after(probes, 0, ENOUGH)
            for played in rounds:
                await self.act(played)
            await enough_after(probes, time.monotonic(), ENOUGH)
        return self.judge(*rounds)

    def judge(self, *rounds: Round) -> list[str]:
        """The faults, false alarms included."""
        found = [fault for played in rounds for fault in played.faults()]
        return found + [alarm for played in rounds for alarm in self.alarms(played.scene.user.id)]

    def alarms(self, user_id: str) -> list[str]:
        """What the workers have logged about spent refresh tokens of this user."""
        log = self.program.root / "logs" / "activity.log"
        lines = log.read_text().splitlines() if log.exists() else []
        events = [json.loads(line) for line in lines if '"auth.refresh_reuse"' in line]
        return [f"alarm: {event['event']}" for event in events if event["user_id"] == user_id]

    async def see_redis_again(self) -> None:
        """Waits until both workers use it: the question that a breaker lets through closes it."""
        deadline = time.monotonic() + BACK_SECONDS
        for port in (self.stage.here, self.stage.there):
            wire = Wire(port)
            while (await wire.ask(request("GET", "/health"))).json()["checks"]["cache"] != "ok":
                assert time.monotonic() < deadline, "Redis is back, and a worker doesn't see it"
                await asyncio.sleep(0.02)
            await wire.close()

    async def keys_in_redis(self) -> int:
        """How many rights the workers keep there."""
        async with Redis.from_url(self.redis.url()) as redis:
            return len(await redis.keys("tessera:rights:*"))

    async def _ask(self, step: Step) -> Answer:
        """Asks again where the worker is overloaded: that is its right, and then nothing was done."""
        headers, wire = step.by.headers if step.by is not None else {}, Wire(self.stage.here)
        deadline = time.monotonic() + DEED_SECONDS
        try:
            answer = await wire.ask(request(step.method, step.path, step.body, headers))
            while answer.status == OVERLOADED and time.monotonic() < deadline:
                answer = await wire.ask(request(step.method, step.path, step.body, headers))
        finally:
            await wire.close()
        assert answer.is_success, (step.method, step.path, answer.status, answer.body)
        return answer


@asynccontextmanager
async def rig_on(backend: Backend, root: Path) -> AsyncIterator[Rig]:
    """Two workers on a new database, with a Redis of their own; they log and mail below `root`."""
    database = backend.new_database()
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer(own=True))
        app = await stack.enter_async_context(run_app(settings_for(database, "", access_token_minutes=LONG)))
        settings = {
            "ENVIRONMENT": "test",
            "DATABASE_URL": database,
            "CACHE_URL": redis.url(),
            "SECRET_KEY": SECRET,
            "ACCESS_TOKEN_MINUTES": str(LONG),
            "LOG_LEVEL": "WARNING",
            "LOGIN_MAX_FAILURES_PER_ADDRESS": "100000",  # everybody comes from this machine
        }
        program = Program(copy_project(root / PROJECT), settings)
        starting = (
            asyncio.to_thread(stack.enter_context, program.serving(path="/health/ready")) for _ in "12"
        )
        here, there = await asyncio.gather(*starting)
        api = Api(app)
        stage = Stage(port_of(here), port_of(there))
        yield Rig(api, await api.superuser(), program, redis, stage)


def port_of(served: Served) -> int:
    """Where it listens."""
    port = urlsplit(served.url).port
    assert port is not None
    return port
