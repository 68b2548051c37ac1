"""What stands for the objects of a pickle: boxes of text and numbers. Nothing here runs anything.

A class that the pickle names is a ``Name``, a string in a box: it is never imported, looked up or
called. ``make`` decides by that string what a call would give: torch's tensors become
``StoredTensor`` (where their numbers lie), dicts become dicts, and everything else, known or not,
becomes an inert ``Thing``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

MAX_NAME = 500  # characters of a class's name, a tensor's name, a storage's key
_MAX_DIMS = 16

_DTYPES = {
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Double": torch.float64,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
# old torch named the device's class
_STORAGES = {f"{m}.{k}Storage": t for m in ("torch", "torch.cuda") for k, t in _DTYPES.items()}
_STORAGES["torch.storage.UntypedStorage"] = torch.uint8
_NAMED_DTYPES = {str(dtype): dtype for dtype in _DTYPES.values()}
_DICTS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"}
_TENSORS = {f"torch._utils._rebuild_tensor{version}" for version in ("", "_v2", "_v3")}
_PARAMETERS = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
}
# Modules and functions that no checkpoint needs and attacks do. Nothing is run with or without
# this list; it is there so that the owner of such a file hears of it.
_ATTACKS = {"os", "posix", "nt", "sys", "subprocess", "pty", "socket", "shutil", "importlib"}
_ATTACKS |= {"runpy", "ctypes", "code", "pickle", "_pickle", "marshal", "commands", "webbrowser"}
_ATTACKS |= {"multiprocessing", "signal", "io.open", "_io.open", "codecs.open"}
for _module in ("builtins", "__builtin__"):
    for _name in ("eval", "exec", "execfile", "compile", "open", "file", "input", "__import__"):
        _ATTACKS.add(f"{_module}.{_name}")


class HostileError(Exception):
    """The pickle asks for what no checkpoint needs. The message completes "it would ..."."""


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A class or function that the pickle names."""

    text: str


class Thing(dict[object, object]):
    """What stands for an object that is not built: the name of its class, and its items."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """A run of numbers beside the pickle: its key, their type, how many, the first of a view."""

    key: str
    dtype: torch.dtype
    count: int
    first: int


@dataclass(frozen=True, eq=False, slots=True)
class StoredTensor:
    """A view of a storage. Its numbers are small and whole; that they fit is not yet checked."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def kind(value: object) -> str:
    """Name for people of what a pickle holds."""
    if isinstance(value, Thing | Name):
        return value.text
    return "tensor" if isinstance(value, StoredTensor) else type(value).__name__


def name(module: object, attribute: object) -> Name:
    """A class or function that the pickle asks for."""
    if not (isinstance(module, str) and isinstance(attribute, str)):
        raise ValueError("a class without a name")
    if len(module) + len(attribute) > MAX_NAME:
        raise HostileError("import a class whose name has hundreds of letters")
    text = f"{module}.{attribute}"
    if {module.split(".")[0], text} & _ATTACKS:
        raise HostileError(f"call {text[:80]!r}")
    return Name(text)


def make(what: object, args: Any) -> object:
    """What REDUCE and its kin would make. Dicts are empty: their items are the caller's."""
    called = what.text if isinstance(what, Name) else ""
    if called == "torch._tensor._rebuild_from_type_v2":  # a tensor with attributes of its own
        what, args = args[0], args[2]
        called = kind(what)
    if called in _TENSORS:
        return _tensor(args, called) or Thing(called)
    if called in _PARAMETERS:
        return args[0]
    return {} if called in _DICTS else Thing(called or kind(what))


def stored(pid: Any) -> Storage | Thing:
    """What torch keeps beside the pickle.

    ("storage", class, key, device, count), and (view key, first, count) of old torch; or
    ("module", class, file, source) of the old form, where the class is all that is wanted.
    """
    if len(pid) > 6:
        raise ValueError("a storage of too many properties")
    if pid[0] == "module":
        return Thing(kind(pid[1]))
    _, what, key, _, count, *view = pid
    key = str(key) if _small(key) else key
    first = view[0][1] if view and view[0] else 0
    if not (isinstance(key, str) and len(key) <= MAX_NAME and _small(count) and _small(first)):
        raise ValueError("a storage without key or length")
    dtype = _STORAGES.get(kind(what))
    return Thing(kind(what)) if dtype is None else Storage(key, dtype, count, first)


def _small(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _tensor(args: Any, called: str) -> StoredTensor | None:
    """From the arguments of torch's functions; None where the storage is not of plain numbers."""
    if len(args) > _MAX_DIMS:
        raise ValueError("a tensor of too many properties")
    source, offset, size, stride, *more = args
    if not isinstance(source, Storage):
        return None
    dtype = _NAMED_DTYPES.get(kind(more[2])) if called.endswith("_v3") else source.dtype
    if dtype is None:
        return None
    for numbers in (size, stride):
        if not isinstance(numbers, tuple) or len(numbers) > _MAX_DIMS:
            raise ValueError("a tensor without a shape")
    if not all(map(_small, (offset, *size, *stride))) or len(size) != len(stride):
        raise ValueError("a tensor of an impossible shape")
    return StoredTensor(source, dtype, source.first + offset, size, stride)
