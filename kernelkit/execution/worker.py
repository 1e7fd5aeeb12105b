"""The worker program: `python -m kernelkit.execution.worker --home H --env ENV --id W --kind shared|process`.

A keeper starts it with the environment's interpreter, folder and variables, in a session of its own. `--lifeline` is
the read end of a pipe which only the keeper holds open: at its end the whole process group goes. `--begun` is memory
that the keeper reads when this process has ended (`begun.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TextIO, cast

from kernelkit.authoring.bundle import load_bundle
from kernelkit.authoring.caller import install_default
from kernelkit.authoring.defaults import ignore_project
from kernelkit.authoring.scope import scope
from kernelkit.authoring.surroundings import read_environment
from kernelkit.config import Home
from kernelkit.execution.asyncio_records import follow_tasks
from kernelkit.execution.begun import Begun, BegunNotes, Nowhere
from kernelkit.execution.bundles import LoadedBundles
from kernelkit.execution.caps import MemoryCap
from kernelkit.execution.capture import capture_logging, capture_streams, follow_threads
from kernelkit.execution.descriptors import DescriptorCapture
from kernelkit.execution.exclusive import ExclusiveWorker
from kernelkit.execution.hardexit import soften_exit
from kernelkit.execution.inside import InsideCaller
from kernelkit.execution.link import Link
from kernelkit.execution.modules import stamp_imports
from kernelkit.execution.processes import kill_marked
from kernelkit.execution.project import Project
from kernelkit.execution.shared import SharedWorker, run_for_ever
from kernelkit.models.task import Owner
from kernelkit.rules.memory import EXIT_OUT_OF_MEMORY
from kernelkit.wire.liveness import boot_id, process_started_at
from kernelkit.wire.messages import Hello


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the engine of a home until it says that this worker may retire."""
    parser = argparse.ArgumentParser(prog="kernelkit.execution.worker")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--env", required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--kind", choices=("shared", "process"), required=True)
    parser.add_argument("--lifeline", type=int)
    parser.add_argument("--begun", type=int)
    parser.add_argument("--memory", type=int, help="bytes that an attempt may hold")
    options = parser.parse_args(argv)
    home = Home(options.home)
    if options.lifeline is not None:
        watch_lifeline(options.lifeline, options.id)
    use_path(read_environment(home, options.env).path)
    hello = Hello(
        role="worker",
        name=options.id,
        pid=os.getpid(),
        worker_kind=options.kind,
        env_id=options.env,
        started_at=process_started_at(os.getpid()),
        boot_id=boot_id(),
    )
    inside = InsideCaller(home, Owner(kind="kernel", name=options.id))
    install_default(lambda: inside)
    ignore_project()
    follow_threads()
    os.register_at_fork(after_in_child=partial(scope.set, None))  # a forked child has no line to the engine
    stamp_imports()
    project = Project(home, load_bundle)
    bundles = LoadedBundles(project.load, watched=(str(project.init_file),))
    begun: Begun = Nowhere() if options.begun is None else BegunNotes(options.begun)
    if options.kind == "shared":
        return serve_shared(home, hello, bundles, begun)
    return serve_exclusive(home, hello, bundles, MemoryCap(options.memory), begun)


def use_path(path: Sequence[str]) -> None:
    """Import from where the defining process does; what this process needs itself comes after."""
    sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]


def watch_lifeline(descriptor: int, worker_id: str) -> None:
    """End this process, its group and whatever left that group when the keeper is gone."""
    os.set_inheritable(descriptor, False)

    def watch() -> None:
        while os.read(descriptor, 1024):
            pass
        kill_marked(worker_id)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(137)

    threading.Thread(target=watch, name="kernelkit-lifeline", daemon=True).start()


def serve_shared(home: Home, hello: Hello, bundles: LoadedBundles, begun: Begun) -> int:
    real = sys.stderr
    faulthandler.enable(file=real)
    capture_logging(partial(_say, real))
    capture_streams()
    soften_exit()
    loop = asyncio.new_event_loop()
    follow_tasks(loop)
    asyncio.set_event_loop(loop)

    async def serve() -> None:
        worker = SharedWorker(bundles, begun)
        link = Link(
            home,
            hello,
            on_start=worker.start,
            on_stop=worker.stop,
            on_retire=worker.retire,
            on_results=worker.results,
            on_safe=begun.over,
        )
        worker.attach(link)
        line = asyncio.create_task(link.run(), name="kernelkit-link")
        await worker.over()
        line.cancel()

    gc.freeze()
    run_for_ever(loop, loop.create_task(serve()))
    return 0


def serve_exclusive(home: Home, hello: Hello, bundles: LoadedBundles, cap: MemoryCap, begun: Begun) -> int:
    capture = DescriptorCapture()
    real = cast(TextIO, os.fdopen(os.dup(capture.real_stderr), "w", buffering=1, errors="backslashreplace"))
    faulthandler.enable(file=real)
    capture_logging(partial(_say, real))
    made: Future[ExclusiveWorker] = Future()

    async def serve() -> None:
        worker = ExclusiveWorker(bundles, capture, cap, begun)
        link = Link(
            home,
            hello,
            on_start=worker.start,
            on_stop=worker.stop,
            on_retire=worker.retire,
            on_results=worker.results,
            on_safe=begun.over,
        )
        worker.attach(link)
        made.set_result(worker)
        await link.run()

    def keep_line() -> None:
        try:
            asyncio.run(serve())
        except BaseException as problem:  # without its line the worker is of no use, and nobody would know
            cap.lift()
            traceback.print_exc(file=real)
            os._exit(EXIT_OUT_OF_MEMORY if isinstance(problem, MemoryError) else 70)

    threading.Thread(target=keep_line, name="kernelkit-link", daemon=True).start()
    gc.freeze()
    made.result().serve()
    return 0


def _say(stream: TextIO, level: str, text: str) -> None:
    stream.write(f"{level}: {text}\n")
    stream.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads that a task left behind must not keep a retired worker
