"""Says which face each thing has when it is shown, and hooks them into IPython (`install`).

`authoring` keeps the registry and knows none of this: where nothing is installed, a thing shows its `repr`. What is
live comes from `run_cards.py` and `pictures.py`, the static faces from `bundles.py`. Whatever goes wrong on the way,
something is shown.
"""

from __future__ import annotations

from kernelkit.authoring import display
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.logs import RunLogs
from kernelkit.authoring.queues import Queues, QueueTable
from kernelkit.authoring.result import Result
from kernelkit.authoring.runs import Page
from kernelkit.authoring.schedule import Schedule, ScheduleTable
from kernelkit.authoring.schedules import Schedules
from kernelkit.authoring.table import Table
from kernelkit.authoring.task import Task
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.token import Token, TokenList
from kernelkit.authoring.tree import RunTree
from kernelkit.client.engine import EngineControl
from kernelkit.models.run import Run
from kernelkit.ui import bundles, hosts, pictures, run_cards
from kernelkit.wire.messages import EngineStatus


def install(shell: hosts.Shell | None = None) -> None:
    """Register all faces, and in IPython those of plain values; calling it again changes nothing."""
    display.register(RunHandle, run_cards.run_handle_bundle, show=run_cards.show_run)
    display.register(Result, run_cards.result_bundle)
    display.register(BatchHandle, bundles.batch_bundle, show=pictures.show_batch)
    display.register(Page, bundles.page_bundle, show=pictures.show_page)
    display.register(RunLogs, bundles.logs_bundle, show=pictures.show_logs)
    display.register(ScheduleTable, bundles.schedules_bundle)
    display.register(QueueTable, bundles.queues_bundle)
    display.register(Queues, bundles.all_queues_bundle, show=pictures.show_queues)
    display.register(Schedules, bundles.all_schedules_bundle, show=pictures.show_schedules)
    display.register(Schedule, bundles.schedule_bundle)
    display.register(Token, bundles.token_bundle, show=pictures.show_token)
    display.register(TokenList, bundles.tokens_bundle)
    display.register(Table, bundles.table_bundle)
    display.register(RunTree, bundles.tree_bundle, show=pictures.show_tree)
    display.register(RunTimeline, bundles.timeline_bundle, show=pictures.show_timeline)
    display.register(Task, bundles.task_bundle, show=pictures.show_task)
    display.register(EngineControl, bundles.engine_control_bundle, show=pictures.show_engine)
    shell = shell or hosts.shell()
    if shell is not None:
        formatter = shell.display_formatter.mimebundle_formatter
        formatter.for_type(Run, run_cards.run_bundle)
        formatter.for_type(EngineStatus, bundles.engine_bundle)
