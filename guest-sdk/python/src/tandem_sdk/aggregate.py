"""`@aggregate`: a dataclass that is kept of events becomes a function of aggregates, and stays a plain class."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import CodeType, ModuleType
from typing import Any, TypeVar

from .call import annotations_of
from .columns import Column, Failures, column_of, values_of
from .errors import CallError, SignatureError, with_line
from .fields import Field, paragraphs, row_fields
from .parameters import Given, Parameter, read_parameters, take_parameters
from .state import decoded, encoded
from .time import Timestamp
from .types import read_hint

C = TypeVar("C", bound=type)

MARK = "__tandem_aggregate__"

SHAPE = "def add(self, event: Payment), def merge(self, other) and def finish(self, as_of: Timestamp) -> float"


@dataclass(frozen=True)
class Aggregate:
    """What the decorator finds out about a class."""

    state: type
    event: type
    inputs: tuple[Field, ...]
    output: Field
    settings: type | None
    parameters: tuple[Parameter, ...]
    instant: Callable[[int], Any]
    doc: str
    code: CodeType

    def arguments(self, given: list[Given]) -> tuple[Any, ...]:
        """What the methods take last. Refuses wrong parameters: `CallError`."""
        settings = take_parameters(self.settings, self.parameters, given)
        return () if self.settings is None else (settings,)

    def empty(self, given: list[Given]) -> bytes:
        """The state of no events."""
        self.arguments(given)
        return self.write(self.state())

    def add(self, given: list[Given], states: Sequence[bytes], groups: Sequence[int], inputs: Sequence[Column]) -> list[bytes]:
        """States with events added, each to that of its group."""
        arguments, found = self.arguments(given), list(map(self.read, states))
        failures = Failures()
        columns = [values_of(column, field, len(groups), failures) for column, field in zip(inputs, self.inputs)]
        for message in failures.values():
            raise CallError(message)
        for group, row in zip(groups, zip(*columns)):
            self.do(lambda: found[group].add(self.event(*row), *arguments))
        return list(map(self.write, found))

    def merge(self, given: list[Given], states: Sequence[bytes], others: Sequence[bytes]) -> list[bytes]:
        """States with the events of others, pair by pair."""
        arguments, found = self.arguments(given), list(map(self.read, states))
        for state, other in zip(found, map(self.read, others)):
            self.do(lambda: state.merge(other, *arguments))
        return list(map(self.write, found))

    def finish(self, given: list[Given], states: Sequence[bytes], instants: Sequence[int]) -> Column:
        """The values of states, each at its instant."""
        arguments = self.arguments(given)
        values = [
            self.do(lambda: state.finish(self.instant(at), *arguments)) for state, at in zip(map(self.read, states), instants)
        ]
        failures = Failures()
        column = column_of(values, self.output, failures)
        for message in failures.values():
            raise CallError(message)
        return column

    def do(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (CallError, MemoryError):
            raise
        except Exception as error:
            raise CallError(with_line(error, self.code)) from error

    def write(self, state: Any) -> bytes:
        return encoded(tuple(getattr(state, field.name) for field in dataclasses.fields(self.state)))

    def read(self, data: bytes) -> Any:
        values = decoded(data)
        if not isinstance(values, tuple) or len(values) != len(dataclasses.fields(self.state)):
            raise CallError("a state is not what this function wrote")
        state = self.state()
        for field, value in zip(dataclasses.fields(self.state), values):
            setattr(state, field.name, value)
        return state


def aggregate(state: C) -> C:
    """Makes a function of aggregates of a dataclass: what is kept of the events of an entity in a window of time.

    `add(self, event)` adds an event, a dataclass or NamedTuple; a field `event_time: Timestamp` is its own time. `merge(self, other)` adds the events of another
    state. `finish(self, as_of)` gives the value at an instant. With parameters, each takes them last: `settings: Settings`. All fields have defaults: the
    class without arguments is the state of no events.

    The state must be the same for the same events, in whatever order they were added and however they were divided; `tandem verify` tries to show that it is not.
    """
    names = dict(sys._getframe(1).f_locals)
    setattr(state, MARK, read_aggregate(state, names))
    return state


def read_aggregate(state: Any, names: dict[str, Any]) -> Aggregate:
    """Reads the methods' types. Every mistake is a `SignatureError`."""
    name = getattr(state, "__qualname__", repr(state))
    if not isinstance(state, type) or not dataclasses.is_dataclass(state):
        raise SignatureError(f"{name} is not a dataclass: write @dataclass below @aggregate")
    methods: dict[str, Any] = {}
    for method in ("add", "merge", "finish"):
        function = vars(state).get(method)
        if getattr(function, "__code__", None) is None:
            raise SignatureError(f"{name} has no method `{method}`; it has {SHAPE}")
        methods[method] = function
    missing = [field.name for field in dataclasses.fields(state) if not has_default(field)]
    if missing:
        raise SignatureError(f"{name}.{missing[0]} has no default; {name}() is the state of no events, so every field has one")
    code = methods["add"].__code__
    taken = code.co_varnames[: code.co_argcount]
    if len(taken) not in (2, 3):
        raise SignatureError(f"{name}.add takes an event, and parameters where there are some: {SHAPE}")
    for method in ("merge", "finish"):
        if methods[method].__code__.co_argcount != len(taken):
            raise SignatureError(f"{name}.{method} takes as many arguments as {name}.add: parameters come last in all three")
    scope = {**names, name: state}
    types = {method: annotations_of(methods[method], scope) for method in ("add", "finish")}
    for method, argument in (("add", taken[1]), ("finish", "return")):
        if argument not in types[method]:
            raise SignatureError(f"{name}.{method} does not say of which type `{argument}` is: {SHAPE}")
    event = types["add"][taken[1]]
    inputs = row_fields(event, "input", names)
    hint = read_hint(types["finish"]["return"], f"{name}.finish")
    settings = types["add"].get(taken[2]) if len(taken) == 3 else None
    if len(taken) == 3 and settings is None:
        raise SignatureError(f"{name}.add does not say of which type `{taken[2]}` is")
    at = methods["finish"].__code__.co_varnames[1]
    instant: Callable[[int], Any] = Timestamp
    if types["finish"].get(at) is datetime:
        instant = lambda micros: Timestamp(micros).datetime()  # noqa: E731
    parameters = read_parameters(settings, names) if settings is not None else ()
    output = Field("value", "value", hint.data_type, hint.nullable, "")
    return Aggregate(state, event, inputs, output, settings, parameters, instant, paragraphs(own_doc(state)), code)


def has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def own_doc(state: type) -> str | None:
    """The doc of a class, without that which `@dataclass` makes up."""
    doc = state.__doc__
    return None if doc is None or doc.startswith(f"{state.__name__}(") else doc


def aggregate_of(state: Any) -> Aggregate:
    """What the decorator found out about a class."""
    found = vars(state).get(MARK) if isinstance(state, type) else None
    if not isinstance(found, Aggregate):
        raise SignatureError(f"{getattr(state, '__qualname__', state)} is not marked with @aggregate")
    return found


def aggregate_in(module: ModuleType) -> Aggregate:
    """The aggregate of a module, of which there is exactly one."""
    classes: Iterable[Any] = (value for value in vars(module).values() if isinstance(value, type))
    found = {id(value): value for value in classes if isinstance(vars(value).get(MARK), Aggregate)}
    if len(found) != 1:
        names = ", ".join(value.__qualname__ for value in found.values())
        what = f"{len(found)} classes marked with @aggregate ({names})" if found else "no class marked with @aggregate"
        raise SignatureError(f"the module `{module.__name__}` has {what}; a component has exactly one")
    (state,) = found.values()
    return aggregate_of(state)
