"""Pickles read as data: an interpreter of its own in which nothing can be imported or called.

``pickletools`` splits the bytes into opcodes, ``Machine`` follows them, and ``inert`` says what
stands for the objects. No module, class or attribute of this process is within a pickle's reach.

Time is bounded by a budget of steps, and whatever a pickle could repeat at the price of one
opcode is refused or paid for: only text and small numbers are keys (a tuple that holds a tuple
twice, sixty deep, takes 2^60 steps to hash), and names, shapes and lists of arguments are short.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from typing import IO, Any

from . import inert
from .inert import HostileError, Storage, Thing

MAX_STEPS = 500_000  # of all pickles of a file; 10,000 tensors take 300,000
_MAX_MARKS = 1000  # nested marks; real checkpoints have less than ten


class Machine:
    """Reads pickles one after another; the budget is shared, and so are the storages they name.

    ``run`` raises HostileError, and ValueError, IndexError or the like for what is no pickle.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._left = MAX_STEPS
        self._start()

    def _start(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: IO[bytes]) -> object:
        """The object of the pickle at the stream's position, which is left behind its end."""
        self._start()
        for opcode, argument, _ in pickletools.genops(stream):
            self._charge(1)
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name not in _STEPS:
                raise HostileError(f"use the opcode {opcode.name}")
            _STEPS[opcode.name](self, argument)
        raise ValueError("it has no end")

    def _charge(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise HostileError(f"take more than {MAX_STEPS:,} steps to read")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        if len(self.marks) >= _MAX_MARKS:
            raise HostileError(f"nest more than {_MAX_MARKS:,} marks")
        self.marks.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def replace_mark(self, make: Callable[[list[Any]], object]) -> None:
        self.push(make(self.to_mark()))

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.to_mark()

    def tuple_of(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def set_items(self, items: list[Any]) -> None:
        """Keys and values in turn, for the object on the stack; only dicts keep them."""
        self._set(self.stack[-1], zip(items[::2], items[1::2], strict=True))

    def _set(self, target: object, pairs: Iterable[tuple[Any, Any]]) -> None:
        if isinstance(target, dict):
            for key, value in pairs:
                plain = type(key) is str or (type(key) is int and abs(key) < 1 << 63)
                target[key if plain else f"<{inert.kind(key)}>"] = value

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is list:
            self.stack[-1].extend(items)

    def make(self, what: object, args: Any) -> None:
        made = inert.make(what, args)
        if type(made) is dict and args and isinstance(args[0], list):
            self._charge(len(args[0]))  # Python 2 wrote OrderedDict([[key, value], ...])
            self._set(made, args[0])
        self.push(made)

    def stored(self, pid: Any) -> None:
        found = inert.stored(pid)
        if isinstance(found, Storage):
            self.storages.setdefault(found.key, found)
        self.push(found)


def _stack_global(m: Machine, _: Any) -> None:
    attribute = m.stack.pop()
    m.push(inert.name(m.stack.pop(), attribute))


def _reduce(m: Machine, _: Any) -> None:
    args = m.stack.pop()
    m.make(m.stack.pop(), args)


def _reduce_with_keywords(m: Machine, _: Any) -> None:
    m.stack.pop()
    _reduce(m, _)


def _dict(m: Machine, _: Any) -> None:
    items = m.to_mark()
    m.push({})
    m.set_items(items)


def _obj(m: Machine, _: Any) -> None:
    what, *args = m.to_mark()
    m.make(what, args)


# Everything a pickle can say. What is not here (the extension registry, buffers) is refused.
_STEPS: dict[str, Callable[[Machine, Any], object]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.to_mark(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push(Thing("set")),
    "FROZENSET": lambda m, _: m.replace_mark(lambda _: Thing("frozenset")),
    "TUPLE": lambda m, _: m.replace_mark(tuple),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "LIST": lambda m, _: m.replace_mark(list),
    "DICT": _dict,
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.to_mark()),
    "ADDITEMS": lambda m, _: m.to_mark(),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.to_mark()),
    "MEMOIZE": lambda m, _: m.memo.update({len(m.memo): m.stack[-1]}),
    "GLOBAL": lambda m, a: m.push(inert.name(*a.split(" ", 1))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _reduce_with_keywords,
    "OBJ": _obj,
    "INST": lambda m, a: m.make(inert.name(*a.split(" ", 1)), m.to_mark()),
    "BUILD": lambda m, _: m.stack.pop(),  # the state of an object that is not built
    "PERSID": lambda m, a: m.stored(a),
    "BINPERSID": lambda m, _: m.stored(m.stack.pop()),
}
for _prefix in ("", "BIN", "LONG_BIN"):
    _STEPS[f"{_prefix}PUT"] = lambda m, a: m.memo.update({a: m.stack[-1]})
    _STEPS[f"{_prefix}GET"] = lambda m, a: m.push(m.memo[a])
# Constants: what pickletools describes as an argument that is pushed, and as no object.
for _op in pickletools.opcodes:
    if _op.arg and not _op.stack_before and _op.stack_after not in ([], [pickletools.anyobject]):
        _STEPS[_op.name] = lambda m, a: m.push(a)
