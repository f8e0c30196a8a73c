"""How a package is learnt: what is called and what is not, what can be done with a value, and an extension module whole."""

import json
import signal
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.inside.stress.calls import surface as surface_module
from builder.inside.stress.calls import values
from builder.inside.stress.calls.learnt import Operation
from builder.inside.stress.calls.subjects import Subjects
from builder.inside.stress.calls.surface import Surface, list_own_names
from builder.inside.stress.calls.templates import iter_templates
from builder.inside.stress.learn import learn, learning
from builder.inside.stress.learn.argument_finder import ArgumentFinder
from builder.inside.stress.learn.evaluator import Evaluator
from builder.inside.stress.learn.operations import OperationTester
from builder.inside.stress.process.interpreter import Interpreter
from builder.inside.stress.process.journal import Journal

NATIVE = "_queue"
"""An extension module that comes with every interpreter: one type, with methods, and one exception."""


@pytest.fixture
def surface() -> Surface:
    found = Surface([NATIVE])
    if not found.natives:
        pytest.skip("this interpreter has its extension modules built in")
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def last_call(journal: Path) -> str | None:
    text = journal.read_bytes()[:4000].rstrip(b"\0 ")
    return str(json.loads(text)[1]) if text else None


def evaluator(journal: Path, *, never: tuple[str, ...] = (), seconds: float = 60) -> Evaluator:
    deadline = time.monotonic() + seconds
    return Evaluator(["time", "sys"], never, Journal(str(journal)), deadline)


# --- calls --------------------------------------------------------------------


def test_an_expression_names_subject_argument_modules_and_values(journal: Path):
    calls = evaluator(journal)
    assert calls.evaluate("s + a", 2, 3).result == 5
    assert calls.evaluate("math.floor(2.5)").result == 2
    assert isinstance(calls.evaluate("values.Slow('k')").result, values.Slow)
    assert calls.evaluate("sys.maxsize").result == sys.maxsize


def test_a_call_is_noted_and_whatever_it_raises_is_taken(journal: Path):
    tried = evaluator(journal).evaluate("sys.exit(3)")
    assert isinstance(tried.error, SystemExit)
    assert last_call(journal) == "sys.exit(3)"


def test_what_ended_an_attempt_is_not_called_again(journal: Path):
    calls = evaluator(journal, never=("sys.exit(1)",))
    assert isinstance(calls.evaluate("sys.exit(1)").error, RuntimeError)
    assert last_call(journal) is None
    assert isinstance(calls.evaluate("sys.exit(2)").error, SystemExit)


def test_what_ended_two_attempts_is_called_with_no_arguments_at_all(journal: Path):
    calls = evaluator(journal, never=("sys.exit(1)", "sys.exit(2)", "s.close(1)", "s.close(2)"))
    assert isinstance(calls.evaluate("sys.exit(3)").error, RuntimeError)
    # A method of that name may be that of another type.
    assert isinstance(calls.evaluate("s.close(3)").error, AttributeError)


def test_a_method_that_ended_two_attempts_is_left_alone_on_objects_of_its_type(journal: Path):
    never = (
        "s.index(1)  # builtins.list",
        "s.index('a')  # builtins.list",
        "s.pop()  # builtins.list",
    )
    calls = evaluator(journal, never=never)
    assert isinstance(calls.evaluate("s.index(2)", [2]).error, RuntimeError)
    assert calls.evaluate("s.index(2)", (2,)).result == 0
    # What ended one attempt is left out as it was called, and no more.
    assert isinstance(calls.evaluate("s.pop()", [2]).error, RuntimeError)
    assert calls.evaluate("s.pop(0)", [2]).result == 2
    assert last_call(journal) == "s.pop(0)  # builtins.list"


def test_after_the_deadline_only_closing_makes_calls(journal: Path):
    calls = evaluator(journal, seconds=-1)
    assert calls.is_late()
    assert isinstance(calls.evaluate("1").error, RuntimeError)
    calls.is_closing = True
    assert calls.evaluate("1").result == 1


def test_no_expression_makes_nothing(journal: Path):
    assert evaluator(journal).make("") is None
    assert last_call(journal) is None


@pytest.fixture
def alarm() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, learn._interrupt_call)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
def test_a_call_that_takes_long_is_interrupted(journal: Path):
    began = time.monotonic()
    assert isinstance(evaluator(journal).evaluate("time.sleep(30)").error, TimeoutError)
    assert time.monotonic() - began < 10


# --- what can be done with a value ----------------------------------------------


def texts(value: object, surface: Surface) -> list[str]:
    return [template.text for template in iter_templates(value, surface)]


def test_methods_of_a_native_type_take_any_arguments(surface: Surface):
    made = surface.modules[NATIVE].SimpleQueue()
    found = texts(made, surface)
    assert {"s.put({})", "s.get({})", "s.empty({})", "gc.get_referents(s) and None"} <= set(found)
    assert not any(text.startswith(("s.__init__", "s.__class__", "setattr")) for text in found)


def test_a_python_class_is_called_by_its_public_names(surface: Surface):
    class Box:
        def __init__(self) -> None:
            self.hidden = 1

        def put(self, item: object) -> None: ...

        def _prune(self) -> None: ...

        def kill(self) -> None: ...

        @property
        def size(self) -> int:
            return 1

        def __len__(self) -> int:
            return 1

    assert texts(Box(), surface) == ["s.put({})", "s.size", "setattr(s, 'size', {})"]

    Box.__module__ = f"{NATIVE}.boxes"  # the package's own: its slots are how it is used
    assert texts(Box(), surface)[3:] == ["len(s)"]


# --- subjects -------------------------------------------------------------------


def test_values_of_own_types_are_subjects_and_arguments(surface: Surface):
    subjects = Subjects(surface)
    queue = surface.modules[NATIVE].SimpleQueue()
    subjects.note_value("[]", [])
    subjects.note_value("nothing", None)
    subjects.note_value("q" * 301, queue)
    assert not subjects.by_make

    subjects.note_value("q", queue)
    subjects.note_value("q", queue)
    assert [*subjects.by_make] == subjects.own == ["q"]
    assert subjects.has_type(f"{NATIVE}.SimpleQueue")


def test_an_expression_that_a_test_gave_may_be_long_and_a_descriptor_works_in_a_class(
    surface: Surface,
):
    subjects = Subjects(surface)
    queue = surface.modules[NATIVE].SimpleQueue()
    subjects.note_value("q" * 301, queue, is_given=True)
    owned = values.own(property(lambda _: 7))
    subjects.note_value("values.own(q)", owned, "a class with q")
    assert [one.type_name for one in subjects.by_make.values()] == [
        f"{NATIVE}.SimpleQueue",
        "a class with q",
    ]
    assert owned.x == 7  # type: ignore[attr-defined]


def test_a_type_has_some_subjects_and_is_one_argument(surface: Surface):
    subjects = Subjects(surface)
    for number in range(20):
        subjects.note_value(f"q{number}", surface.modules[NATIVE].SimpleQueue())
    assert [*subjects.by_make] == [f"q{number}" for number in range(6)]
    assert subjects.own == ["q0"]


# --- all of it ------------------------------------------------------------------


def learn_module(tmp_path: Path, **more: Any) -> dict[str, Any]:
    request = {
        "modules": [NATIVE, "no_such_module"],
        "folder": None,
        "site": str(tmp_path),
        "recipes": [],
        "never": [],
        "seconds": 30,
        **more,
    }
    interpreter = Interpreter(sys.executable, str(tmp_path))
    answer = learning.learn(interpreter, request)
    assert answer is not None
    return answer


@pytest.mark.skipif(sys.version_info < (3, 12), reason="it asks sys.monitoring")
@pytest.mark.usefixtures("surface")
def test_an_extension_module_is_learnt(tmp_path: Path):
    answer = learn_module(tmp_path)
    assert answer["complete"]
    assert answer["prelude"] == [NATIVE]
    assert "ModuleNotFoundError" in answer["failed"]["no_such_module"]

    (subject,) = answer["subjects"]
    assert (subject["make"], subject["type"]) == ("_queue.SimpleQueue()", "_queue.SimpleQueue")
    operations = {operation["text"]: operation for operation in subject["operations"]}
    assert operations["s.qsize()"]["result"] == "0"
    assert operations["s.qsize()"]["native"] == ["_queue.SimpleQueue.qsize"]
    assert operations["s.qsize()"]["direct"]
    assert not operations["s.qsize()"]["changes"]
    assert operations["s.put('ab')"]["changes"]
    assert "s.qsize()" in subject["observe"]
    assert set(answer["reached"]) <= set(answer["callables"])


class Busy:
    """A process of learn.py that goes on for some time."""

    def __init__(self, seconds: float) -> None:
        self.records = types.SimpleNamespace(items=[])
        self._ends_at = time.monotonic() + seconds

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return self.has_ended

    @property
    def has_ended(self) -> bool:
        return time.monotonic() >= self._ends_at


def test_what_comes_before_the_first_call_is_waited_for_and_a_call_is_not(
    journal: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(learning, "_STALL_S", 0.2)
    writer = Journal(str(journal))
    importing: Any = Busy(0.6)
    learning._watch_journal(importing, journal, time.monotonic() + 60)
    assert importing.has_ended

    writer.write("pkg.wait()")
    calling: Any = Busy(30)
    learning._watch_journal(calling, journal, time.monotonic() + 60)
    assert not calling.has_ended


@pytest.mark.skipif(sys.version_info < (3, 12), reason="it asks sys.monitoring")
@pytest.mark.usefixtures("surface")
def test_what_ended_an_attempt_is_left_out(tmp_path: Path):
    answer = learn_module(tmp_path, never=["_queue.SimpleQueue()"])
    assert answer["subjects"] == []


# --- arguments --------------------------------------------------------------------


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Return a package that stands in for a native one."""
    module = types.ModuleType("cipher")

    def seal(data: bytes, *, key: bytes, rounds: int = 1) -> bytes:
        if len(key) != len(b"abcdefgh"):
            raise ValueError("no")
        return data

    def hidden(*given: object, **named: object) -> object:
        if "size" not in named:
            raise TypeError("hidden() missing 1 required keyword-only argument: 'size'")
        return given

    module.seal, module.hidden, module.total = seal, hidden, len  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cipher", module)
    return module


def finder(journal: Path, **more: Any) -> ArgumentFinder:
    calls = Evaluator(["cipher"], (), Journal(str(journal)), time.monotonic() + 60)
    settings: dict[str, Any] = {
        "folder": None,
        "site": str(journal.parent),
        "roots": {"cipher"},
        "recorded": {},
        "reading_s": 60.0,
    }
    return ArgumentFinder(calls, [], **(settings | more))


@pytest.mark.usefixtures("alarm")
def test_arguments_that_go_by_their_names_are_given(journal: Path, package: types.ModuleType):
    found = finder(journal).find("cipher.seal({})", package.seal, range(2), wanted=1)
    assert found
    assert all(
        "key=b'abcdefgh'" in argument_list or "key=" in argument_list for argument_list in found
    )
    assert finder(journal).find("cipher.hidden({})", package.hidden, range(2), wanted=1) == [
        "size=8"
    ]


@pytest.mark.usefixtures("alarm")
def test_what_tests_gave_while_they_ran_comes_first(journal: Path, package: types.ModuleType):
    recorded = {"hidden": ["'from a test'"]}
    found = finder(journal, recorded=recorded).find(
        "cipher.hidden({})", package.hidden, range(2), wanted=1, prefers_known=True
    )
    assert found == ["'from a test', size=8"]


@pytest.mark.usefixtures("alarm", "package")
def test_containers_are_shared_in_the_place_of_any_argument(journal: Path):
    shared = list(finder(journal).iter_shared(["'ab'"]))
    assert [one.type_name for one in shared] == ["list", "dict", "bytearray", "set"]
    assert {one.argument_list for one in shared} == {"a"}
    given = list(finder(journal).iter_shared(["[1], 2"]))
    lists = [(one.argument_list, one.text) for one in given if one.type_name == "list"]
    assert lists == [
        ("a, 2", "[1]"),
        ("a, 2", values.PAUSING_ITEMS),
        ("[1], a", values.SHAREABLE["list"]),
    ]


# --- what there is of native code --------------------------------------------------


def test_an_object_that_is_called_is_called_by_its_type():
    functools = Surface(["_functools", "functools"])
    if not functools.natives:
        pytest.skip("this interpreter has its extension modules built in")
    partial = functools.modules["_functools"].partial
    assert functools.find_native_name(partial(len)) == "_functools.partial.__call__"
    assert functools.find_native_name(len) is None


def test_functions_without_a_public_name_are_not_offered():
    found = Surface(["json.decoder", "_json"])
    if not found.natives:
        pytest.skip("this interpreter has its extension modules built in")
    assert "_json.scanstring" in found.list_offered()  # json.decoder.scanstring
    assert "_json.encode_basestring" in found.callables
    assert "_json.encode_basestring" not in found.list_offered()
    assert "_json.Scanner.__call__" in found.list_offered()
    # Where nothing has a public name, everything is offered.
    assert "_json.encode_basestring" in Surface(["_json"]).list_offered()


def test_what_goes_by_another_name_and_refuses_is_no_native_callable(
    monkeypatch: pytest.MonkeyPatch,
):
    assert "setdefault" in list_own_names(dict)
    uncounted = {*surface_module._UNCOUNTED_NAMES, "setdefault"}
    monkeypatch.setattr(surface_module, "_UNCOUNTED_NAMES", uncounted)
    kind = type("Alias", (), {"add": dict.setdefault, "get": dict.get})
    assert list_own_names(kind) == ["get"]


def test_what_the_interpreter_itself_reads_is_no_native_callable():
    found = Surface(["_csv"])
    if not found.natives:
        pytest.skip("this interpreter has its extension modules built in")
    assert "_csv.Dialect.skipinitialspace" not in found.callables
    assert "_csv.Dialect.delimiter" in found.callables


def test_functions_work_without_an_object_and_methods_do_not(surface: Surface):
    assert not surface.stateless & {"_queue.SimpleQueue.put", "_queue.SimpleQueue.get"}
    found = Surface(["_heapq"])
    if found.natives:
        assert "_heapq.heappush" in found.stateless


# --- in which order -----------------------------------------------------------------


class Shelf:
    def put(self, item: object) -> None: ...

    def room(self) -> None: ...


class Watching(learn.Learner):
    """Learns how to use shelves, which count as native, and notes what it tries on which of them."""

    def __init__(self, journal: Path, shelves: int) -> None:
        module = types.ModuleType("store")
        module.Shelf = Shelf  # type: ignore[attr-defined]
        sys.modules["store"] = module
        request = {"modules": ["store"], "recipes": [], "never": [], "seconds": 60.0}
        super().__init__({**request, "journal": str(journal), "site": str(journal.parent)}, print)
        self.surface.types[id(Shelf)] = "store.Shelf"
        self.surface.callables |= dict.fromkeys(("store.Shelf.put", "store.Shelf.room"))
        self.tried: list[tuple[str, str]] = []
        for number in range(shelves):
            self.subjects.note_value(
                f"(store.Shelf(), {number})[0]", Shelf(), "store.Shelf", is_given=True
            )

    def _try_template(self, subject: Any, template: Any, value: object) -> None:
        self.tried.append((template.name, subject.make))
        subject.operations[template.text] = []


@pytest.mark.usefixtures("alarm")
def test_what_nothing_has_reached_comes_first_on_all_objects(
    journal: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "store", types.ModuleType("store"))
    learner = Watching(journal, shelves=2)
    learner._tester.reached.add("store.Shelf.put")
    learner._operate_in_turns(set())
    names = [name for name, _ in learner.tried if name in {"put", "room"}]
    assert names == ["room", "room", "put", "put"]


@pytest.mark.usefixtures("alarm")
def test_what_refuses_everything_is_tried_on_a_few_objects_before_the_rest(
    journal: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "store", types.ModuleType("store"))
    learner = Watching(journal, shelves=5)
    learner._operate_in_turns(set())
    names = [name for name, _ in learner.tried if name in {"put", "room"}]
    assert names[:6] == ["put"] * 3 + ["room"] * 3
    assert sorted(names[6:]) == ["put", "put", "room", "room"]


# --- what shows a state -------------------------------------------------------------


class Vessel:
    def __init__(self) -> None:
        self.content = ""

    def fill(self, text: str) -> None:
        self.content += text

    def take(self) -> str:
        taken, self.content = self.content, ""
        return taken

    def show(self) -> str:
        return self.content


def cellar_tester(
    journal: Path, monkeypatch: pytest.MonkeyPatch, kind: type[object]
) -> OperationTester:
    """Return a tester of a module that has one class."""
    module = types.ModuleType("cellar")
    setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "cellar", module)
    calls = Evaluator(["cellar"], (), Journal(str(journal)), time.monotonic() + 60)
    surface = Surface(["cellar"])
    return OperationTester(calls, surface, Subjects(surface))


def operation(text: str, native: str, result: str | None) -> Operation:
    return {
        "text": text,
        "native": [native],
        "direct": True,
        "result": result,
        "changes": False,
        "us": 1.0,
    }


@pytest.mark.usefixtures("alarm")
def test_what_empties_an_object_does_not_show_its_state(
    journal: Path, monkeypatch: pytest.MonkeyPatch
):
    tester = cellar_tester(journal, monkeypatch, Vessel)
    operations = [
        operation("s.take()", "take", "''"),
        operation("s.show()", "show", "''"),
        operation("s.fill('ab')", "fill", None),
    ]
    assert tester.find_observers("cellar.Vessel()", operations) == ["s.show()"]
    assert tester.find_observers("cellar.Vessel()", operations[:2]) == ["s.take()", "s.show()"]


class Scanner:
    """Has read a token once it was asked whether there is one."""

    def __init__(self) -> None:
        self.tokens: list[object] = [Vessel(), 7]
        self.ahead = False

    def has_token(self) -> bool:
        if not self.ahead:
            del self.tokens[0]
            self.ahead = True
        return True

    def depth(self) -> int:
        return 3

    def next_event(self) -> object:
        return self.tokens.pop(0)


@pytest.mark.usefixtures("alarm")
def test_what_changes_more_than_it_shows_is_no_observer(
    journal: Path, monkeypatch: pytest.MonkeyPatch
):
    tester = cellar_tester(journal, monkeypatch, Scanner)
    operations = [
        operation("s.has_token()", "has_token", "True"),
        operation("s.depth()", "depth", "3"),
        operation("s.next_event()", "next_event", None),
    ]
    assert tester.find_observers("cellar.Scanner()", operations) == ["s.depth()"]
    assert tester.find_observers("cellar.Scanner()", operations[:2]) == [
        "s.has_token()",
        "s.depth()",
    ]
