"""What `%engine` does: looks at the project's engine, starts it and stops it, through `kk.engine`."""

from __future__ import annotations

from collections.abc import Callable

from kernelkit.client.engine import EngineControl
from kernelkit.errors import InvalidOptionError
from kernelkit.magics.shown import Bundle
from kernelkit.ui import bundles

LOG_LINES = 40


def act(verb: str, engine: EngineControl) -> Bundle | str:
    """Do what `%engine verb` asks and give what to show; raises `InvalidOptionError` for an unknown verb."""
    act = VERBS.get(verb or "status")
    if act is None:
        known = ", ".join(f"`%engine {name}`" for name in VERBS)
        raise InvalidOptionError(f"`%engine {verb}` is unknown. There are {known}.", field="verb")
    return act(engine)


def status(engine: EngineControl) -> Bundle:
    """The engine's panel; starts nothing."""
    if not engine.is_running:
        return bundles.engine_away_bundle(str(engine.home.path), was_stopped=engine.was_stopped)
    return bundles.engine_bundle(engine.status())


def stop(engine: EngineControl) -> str:
    """Stop the engine once executing attempts have ended; it stays stopped until someone starts it."""
    if not engine.is_running:
        return "No engine runs, so there is none to stop."
    engine.stop()
    return "The engine has stopped. Nothing is lost: runs continue when it starts (`%engine start`)."


def logs(engine: EngineControl) -> str:
    """The last lines of the engine's own log."""
    return repr(engine.logs(LOG_LINES))


VERBS: dict[str, Callable[[EngineControl], Bundle | str]] = {
    "status": status,
    "start": lambda engine: bundles.engine_bundle(engine.start()),
    "stop": stop,
    "restart": lambda engine: bundles.engine_bundle(engine.restart()),
    "logs": logs,
}
