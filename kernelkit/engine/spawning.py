"""Has keepers spawn and kill workers, and knows which of them were asked for and have not come yet.

An environment's keeper may be connected, on its way, or lost with the engine before. What is asked of one that is not
connected waits: `asked` is sent again by whoever handles its Hello, and who was to be killed is noted until then.
"""

from __future__ import annotations

from collections.abc import Callable

from kernelkit.engine.core import Core
from kernelkit.engine.links import Keeper, WorkerLink
from kernelkit.engine.ports import KeeperLauncher
from kernelkit.errors import KernelKitError
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel

SPAWN_WITHIN_S = 30.0


class Spawning:
    """The keepers of the home, by environment."""

    def __init__(
        self,
        core: Core,
        launcher: KeeperLauncher,
        monotonic: Callable[[], float],
        never_began: Callable[[str, str], None],
    ) -> None:
        """`never_began` is told of workers that there will not be, and why."""
        self._core = core
        self._launcher = launcher
        self._time = monotonic
        self._never_began = never_began
        self.keepers: dict[str, Keeper] = {}
        self._stopping = False
        self._left_behind: dict[str, list[str]] = {}  # workers lost without a keeper: what they started may live on

    # ---- connections -----------------------------------------------------------------------------------------------

    def expect(self, env_id: str) -> None:
        """A former engine had workers there: their keeper may come back."""
        self.keepers.setdefault(env_id, Keeper(env_id, since=self._time()))

    def connected(self, env_id: str, channel: Channel) -> None:
        """The keeper has dialled in; its earlier connection is closed, and those it left behind are killed."""
        keeper = self.keepers.setdefault(env_id, Keeper(env_id))
        if keeper.channel is not None:
            keeper.channel.close()
        keeper.channel = channel
        for worker_id in self._left_behind.pop(env_id, ()):
            channel.send(m.KillWorker(worker_id))

    def closed(self, env_id: str, channel: Channel) -> None:
        keeper = self.keepers.get(env_id)
        if keeper is not None and keeper.channel is channel:
            keeper.channel = None
            keeper.since = self._time()

    def is_connected(self, env_id: str) -> bool:
        keeper = self.keepers.get(env_id)
        return keeper is not None and keeper.channel is not None

    # ---- workers ---------------------------------------------------------------------------------------------------

    def spawn(self, link: WorkerLink) -> None:
        """Have the worker spawned, by a keeper that is started for it where there is none."""
        keeper = self.keepers.get(link.env_id)
        if keeper is None:
            keeper = self.keepers[link.env_id] = Keeper(link.env_id, since=self._time())
        if keeper.channel is not None:
            self.ask(link)
            return
        keeper.asked[link.id] = self._time() + SPAWN_WITHIN_S
        self._launch(keeper)

    def ask(self, link: WorkerLink) -> None:
        """Ask the connected keeper for the worker."""
        keeper = self.keepers[link.env_id]
        assert keeper.channel is not None, "asked of a connected keeper"
        worker = self._core.state.workers.get(link.id)
        if worker is None:
            return
        keeper.asked[link.id] = self._time() + SPAWN_WITHIN_S
        keeper.channel.send(m.SpawnWorker(link.id, worker.isolation, worker.machine))

    def await_start(self, link: WorkerLink) -> None:
        """It was spawned for a former engine, and may still be starting."""
        self.keepers[link.env_id].asked.setdefault(link.id, self._time() + SPAWN_WITHIN_S)

    def is_asked(self, link: WorkerLink) -> bool:
        """Whether the worker was asked for and has not come yet."""
        keeper = self.keepers.get(link.env_id)
        return keeper is not None and link.id in keeper.asked

    def arrived(self, link: WorkerLink) -> None:
        """The worker has dialled in, or nobody waits for it any more."""
        keeper = self.keepers.get(link.env_id)
        if keeper is not None:
            keeper.asked.pop(link.id, None)

    def kill(self, link: WorkerLink) -> bool:
        """Have its keeper kill the worker; False while that is not connected."""
        keeper = self.keepers.get(link.env_id)
        if keeper is None or keeper.channel is None:
            return False
        keeper.channel.send(m.KillWorker(link.id))
        return True

    def kill_sometime(self, link: WorkerLink) -> None:
        """Have it killed, now or once its keeper is back: its process has ended, but what it started may live on."""
        if not self.kill(link):
            self._left_behind.setdefault(link.env_id, []).append(link.id)

    def _launch(self, keeper: Keeper) -> None:
        if self._stopping:
            return
        try:
            self._launcher.launch(keeper.env_id)
        except KernelKitError as error:
            for worker_id in list(keeper.asked):
                self._never_began(worker_id, str(error))

    # ---- the passing of time ---------------------------------------------------------------------------------------

    def tend(self, now: float) -> None:
        """Called about once a second: keepers that ended before they dialled in, and workers that are overdue."""
        for keeper in list(self.keepers.values()):
            self._tend(keeper, now)

    def _tend(self, keeper: Keeper, now: float) -> None:
        if keeper.channel is None and keeper.asked:
            reason = self._launcher.failure(keeper.env_id)
            if reason is not None:
                for worker_id in list(keeper.asked):
                    self._never_began(worker_id, reason)
        for worker_id, deadline in list(keeper.asked.items()):
            if now > deadline:
                if keeper.channel is not None:
                    keeper.channel.send(m.KillWorker(worker_id))
                self._never_began(worker_id, f"it did not dial in within {SPAWN_WITHIN_S:.0f} s")

    def shut_down(self, *, leave: bool) -> None:
        """The engine is stopping: keepers end their workers, unless attempts are left to them."""
        self._stopping = True
        if not leave:
            for keeper in self.keepers.values():
                if keeper.channel is not None:
                    keeper.channel.send(m.KeeperShutdown())
