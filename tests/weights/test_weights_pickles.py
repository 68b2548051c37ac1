"""Hostile pickles: nothing they say is imported, looked up or called.

The proof is Python's own: an audit hook in a process of its own hears of every import, every
file, every command and every compiled line of code while pickles are read.
"""

from __future__ import annotations

import copyreg
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoint_files import zip_with
from refusals import refused

from c3d_viz.weights.inert import HostileError as HostileError
from c3d_viz.weights.inert import Name, Storage, StoredTensor, Thing
from c3d_viz.weights.pickles import Machine


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def call(function: bytes, *args: bytes) -> bytes:
    return function + b"(" + b"".join(args) + b"tR"


ATTRIBUTE = named("builtins", "getattr")
TORCH = named("torch", "Tensor")
SYSTEM = text("touch written")
# Refused by name: what every attack is made of.
ATTACKS = {
    "os.system": call(named("os", "system"), SYSTEM),
    "posix.system": call(named("posix", "system"), SYSTEM),
    "os.path": call(named("os.path", "join"), SYSTEM),
    "subprocess": call(named("subprocess", "check_output"), SYSTEM),
    "eval": call(named("builtins", "eval"), text("open('written', 'w')")),
    "exec in Python 2's words": call(named("__builtin__", "execfile"), SYSTEM),
    "import": call(named("builtins", "__import__"), text("antigravity")),
    "by the stack": text("posix") + text("system") + b"\x93" + b"(" + SYSTEM + b"tR",
    "INST": b"(" + SYSTEM + b"iposix\nsystem\n",
    "OBJ": b"(" + named("posix", "system") + SYSTEM + b"o",
    "NEWOBJ": named("subprocess", "Popen") + b"(" + SYSTEM + b"t\x81",
    "NEWOBJ_EX": named("subprocess", "Popen") + b"(" + SYSTEM + b"t}\x92",
    "a module's attribute": call(ATTRIBUTE, named("os", "path"), text("os")),
    "the extension registry": b"\x82\x01",
}
# Not refused, and nothing comes of them: names that are not on the list.
CHAINS = {
    "getattr": call(call(ATTRIBUTE, call(ATTRIBUTE, TORCH, text("__init__")), text("x")), SYSTEM),
    "getattr by NEWOBJ": ATTRIBUTE + b"(" + TORCH + text("__class__") + b"t\x81(" + SYSTEM + b"tR",
    "apply": call(named("builtins", "map"), named("torch.hub", "load"), text("x")),
    "torch.load": call(named("torch", "load"), text("written")),
    "numpy.load": call(named("numpy", "load"), text("written")),
    "a module that does not exist": call(named("antigravity", "fly"), SYSTEM),
    "a dotted name": call(named("torch", "serialization.os.system"), SYSTEM),
    "a class is changed": TORCH + b"N}" + text("__init__") + ATTRIBUTE + b"s\x86b",
    "a tensor is changed": call(TORCH) + b"}" + text("__setstate__") + ATTRIBUTE + b"sb",
    "items of a class": TORCH + text("a") + text("b") + b"s",
    "appended to a class": TORCH + text("a") + b"a",
    "memory": call(named("builtins", "bytearray"), b"\x8a\x06\x00\x10\xa5\xd4\xe8\x00"),
    "a tensor of a type of its own": call(
        named("torch._tensor", "_rebuild_from_type_v2"), ATTRIBUTE, TORCH, b"(t", b"N"
    ),
}


@pytest.mark.parametrize("where", ["zip", "pickle"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(copyreg._inverted_registry, 1, ("posix", "system"))  # type: ignore[attr-defined]
    path, body = tmp_path / "w.pth", b"\x80\x02" + ATTACKS[attack] + b"."
    if where == "zip":
        zip_with(path, {"a/data.pkl": body})
    else:
        path.write_bytes(body)
    refused(path, "refused, its pickle would")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("chain", CHAINS)
def test_unknown_names_come_to_nothing(tmp_path: Path, chain: str) -> None:
    before = {kind: dict(vars(kind)) for kind in (Name, Thing, Storage, StoredTensor, torch.Tensor)}
    result = Machine().run(stream(CHAINS[chain]))
    assert isinstance(result, Name | Thing)
    assert {kind: dict(vars(kind)) for kind in before} == before
    zip_with(tmp_path / "w.pth", {"a/data.pkl": b"\x80\x02" + CHAINS[chain] + b"."})
    refused(tmp_path / "w.pth", "holds a ", "not a state_dict")


INERT = (int, float, str, bytes, tuple, list, dict, type(None), Name, Thing, Storage, StoredTensor)
WORDS = [  # no ATTACKS: with one in each, all would end early
    *CHAINS.values(),
    *(named("torch._utils", f"_rebuild_tensor{v}") for v in ("", "_v2", "_v3", "_x")),
    *(named("torch._utils", "_rebuild_parameter"), named("collections", "OrderedDict")),
    *(
        b"("
        + text("storage")
        + named("torch", "FloatStorage")
        + text("0")
        + text("cpu")
        + b"K\x04tQ",
    ),
    *(
        bytes([b])
        for b in b"0123456789()]}[{abdeghjloqrstuQRN.\x81\x85\x86\x87\x88\x90\x91\x93\x94"
    ),
    *(b"K\x01", b"q\x00", b"h\x00", b"q\x01", b"h\x01", text("a"), b"(K\x02K\x02t", b"(t", b"]("),
]


def stream(body: bytes) -> object:
    import io

    return io.BytesIO(b"\x80\x02" + body + b".")


def random_programs(seed: int, count: int) -> dict[str, int]:
    """Runs random pickles; whatever they leave behind is inert."""
    chance, ends = random.Random(seed), {"read": 0, "refused": 0}
    for _ in range(count):
        machine = Machine()
        try:
            words = chance.choices(WORDS, k=chance.randrange(1, 20))
            machine.run(stream(b")N]}" * 4 + b"".join(words)))
            ends["read"] += 1
        except Exception:
            ends["refused"] += 1
        for held in (
            *machine.stack,
            *machine.memo.values(),
            *(x for m in machine.marks for x in m),
        ):
            assert isinstance(held, INERT), type(held)
    return ends


HOOK = """
import sys
sys.path[:0] = PATHS
import test_weights_pickles as t
heard = []
def hook(event, args):
    if listening and not event.startswith(("object.__getattr__", "cpython.", "sys.")):
        heard.append(event)
listening = False
sys.addaudithook(hook)
listening = True
for body in (*t.ATTACKS.values(), *t.CHAINS.values()):
    try:
        t.Machine().run(t.stream(body))
    except t.HostileError:
        pass
ends = t.random_programs(0, 2000)
listening = False
print(sorted(set(heard)), ends["read"] > 100, ends["refused"] > 100)
listening = True
try:
    __import__("pickle").loads(t.ATTACKS["eval"] + b".")
except Exception:
    pass
listening = False
print(sorted(set(heard)))
"""


def test_python_hears_of_nothing_while_hostile_pickles_are_read(tmp_path: Path) -> None:
    code = HOOK.replace("PATHS", repr(sys.path))
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    ours, theirs = out.stdout.splitlines()
    assert ours == "[] True True"
    assert "pickle.find_class" in theirs  # the hook hears: Python's own reader runs it
    assert "compile" in theirs
    assert [p.name for p in tmp_path.iterdir()] == ["written"]
