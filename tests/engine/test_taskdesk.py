from __future__ import annotations

from typing import cast

from kernelkit.models.task import Owner
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.desk import Desk
from tests.engine.samples import spec
from tests.engine.yard import Wire


def test_a_definition_whose_files_are_missing_is_refused_with_their_names(desk: Desk) -> None:
    desk.ask(m.DefineTask(spec("mail")))

    (refused,) = desk.client.of(m.Refused)
    assert refused.error["code"] == "task_definition"
    assert "mail-code" in refused.error["message"]


MODULE, COPY = Owner("module", "/srv/tasks.py"), Owner("module", "/home/ada/tasks.py")


def define(desk: Desk, client: Wire, owner: Owner) -> list[str]:
    """Have `client` define `mail` as that owner; what it is told: the kind of answer, and the notice or error."""
    one = spec("mail", owner=owner)
    for path in (desk.home.bundles / one.bundle, desk.home.environments / f"{one.env_id}.json"):
        path.touch()
    desk.requests.take(cast(Channel, client), m.Request(1, m.DefineTask(one)))
    desk.settle()
    match client.sent[-1]:
        case m.Reply(body=m.Defined(notice=notice)):
            return ["Defined", notice]
        case m.Refused(error=error):
            return [error["code"], error["message"]]
    raise AssertionError(client.sent[-1])


def test_an_id_of_a_module_is_guarded_while_a_client_that_defined_it_is_connected(desk: Desk) -> None:
    # A client was connected as its notebook or script only, so ids of the modules it imports were anybody's.
    one, two, three = Wire(), Wire(), Wire()
    for client in (one, two, three):
        desk.requests.greet(cast(Channel, client), ["notebook a.ipynb"])

    assert define(desk, one, MODULE) == ["Defined", ""]
    assert define(desk, two, MODULE) == ["Defined", ""], "two processes may import one module"
    code, words = define(desk, three, COPY)
    assert code == "duplicate_task"
    assert str(MODULE) in words and str(COPY) in words

    desk.requests.forget(cast(Channel, one))
    assert define(desk, three, COPY)[0] == "duplicate_task", "the second client of the module is still there"
    desk.requests.forget(cast(Channel, two))
    assert define(desk, three, COPY) == ["Defined", f"The task 'mail' was taken over from {MODULE}."]


def test_a_client_that_connects_again_says_which_ids_are_its_own(desk: Desk) -> None:
    one, two = Wire(), Wire()
    define(desk, one, MODULE)
    desk.requests.forget(cast(Channel, one))

    again = Wire()
    desk.requests.greet(cast(Channel, again), ["notebook a.ipynb", str(MODULE)])

    assert define(desk, two, COPY)[0] == "duplicate_task"
