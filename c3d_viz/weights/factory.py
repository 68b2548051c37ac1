"""Networks of one's own: a Python function, named on the command line, that returns a module.

Naming one runs its code. It is done for a person's own words (``--model``, ``load_model``) and for
nothing that comes in a file: no checkpoint and no upload can name a factory.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import VizError, WeightsError
from ..nets import KINETICS_INPUT, InputSpec, ModelSpec, wrap
from . import files
from .state import load_state

_ASSUMED = "input assumed as torchvision's video networks take it (16 x 112 x 112, RGB)"
_MAX_DEPTH = 100  # modules in modules; networks have ten


def is_factory(model: str) -> bool:
    """Whether ``--model`` names a factory (``file.py:function``, ``package.module:function``)."""
    return ":" in model


def load_factory(
    name: str,
    weights: Path | None,
    state: Callable[[InputSpec], InputSpec] | None,
    seed: int,
    max_bytes: int,
) -> tuple[nn.Module, ModelSpec]:
    """The network that a factory returns, with a state_dict loaded strictly, or as it comes.

    Args:
        name: ``path/to/file.py:function`` or ``package.module:function``. The function is called
            without arguments and returns a module, or a module and its InputSpec.
        weights: a state_dict file (see ``load_state``); None keeps what the factory gives.
        state: gives the input from the factory's, or from KINETICS_INPUT where the factory does
            not say; where neither says, that one is taken and the weights line says so.
        seed: of PyTorch's random numbers while the factory runs; the caller's stay as they are.

    Raises:
        WeightsError: no such file, module or function; its code fails; it returns something else;
            the weights do not fit; or the network does not take a clip of its input. One line.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        with _importable(name) as (module, function):
            factory = _named(module, function, name)
            made = _call(factory, name)
    model, own = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, nn.Module) or not isinstance(own, InputSpec | None):
        raise WeightsError(
            f"{name} must return a torch.nn.Module, or a module and an InputSpec; it returned "
            f"{_kind(made)}"
        )
    _check_depth(model, name)
    if any(isinstance(part, torch.jit.ScriptModule) for part in model.modules()):
        raise WeightsError(
            f"{name} returns a scripted or traced program, which cannot be looked into; return the "
            f"Python module that it was made from"
        )
    spec = own or KINETICS_INPUT
    if state is not None:
        spec = state(spec)
    shown = f"{Path(name.rpartition(':')[0]).name}:{function}"
    if weights is None:
        line, source, sha256 = f"{shown}, weights as the factory gives them", None, None
    else:
        found = load_state(model, weights, max_bytes=max_bytes)
        line, source, sha256 = f"{weights.name}, in {shown}", str(weights), found.sha256
    if state is None and own is None:
        line += f"; {_ASSUMED}"
    if any(is_lazy(t) or t.is_meta for t in (*model.parameters(), *model.buffers())):
        raise WeightsError(
            f"{name}: the network has parameters without memory (lazy, or on the device meta); run "
            f"it once in the factory, or call to_empty(device='cpu')"
        )
    model = taking(model.to("cpu", torch.float32).eval(), spec)
    code = getattr(module, "__file__", None)
    return model, ModelSpec(
        name=shown,
        weights=line,
        trained=None if weights is None else True,
        input=spec,
        num_classes=outputs_of(model, spec, name, seed),
        source=source,
        sha256=sha256,
        format=None if weights is None else "state_dict",
        code_sha256=files.sha256(Path(code)) if code and Path(code).is_file() else None,
    )


@contextmanager
def _importable(name: str) -> Iterator[tuple[ModuleType, str]]:
    """The module that is named, and the function's name; its neighbours can be imported."""
    place, _, function = name.rpartition(":")
    is_file = place.endswith(".py")
    before = list(sys.path)
    sys.path.insert(0, os.path.dirname(os.path.abspath(place)) if is_file else os.getcwd())
    try:
        yield (_run_file(Path(place)) if is_file else _import(place)), function
    finally:
        sys.path[:] = before


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise WeightsError(f"{path}: no such Python file; --model takes FILE.py:FUNCTION")
    # classes are looked up by their module's name, and the last run of a file is the one meant
    called = f"c3d_viz_model_{path.stem}"
    found = importlib.util.spec_from_file_location(called, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[called] = module
    try:
        found.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(called, None)
        _fail(error, f"{path}: running it failed")
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError | ValueError | TypeError):
            text = files.one_line(error, 200)
            raise WeightsError(
                f"no module {name!r} ({text}); --model takes package.module:FUNCTION, or "
                f"FILE.py:FUNCTION"
            ) from None
        _fail(error, f"importing {name} failed")


def taking(model: nn.Module, spec: InputSpec) -> nn.Module:
    """The network as one that takes (N, C, T, H, W), whatever its layout."""
    return model if spec.layout == "CTHW" else wrap(model, lambda clip: clip.transpose(1, 2))


def _named(module: ModuleType, function: str, name: str) -> Callable[[], Any]:
    factory = getattr(module, function, None)
    if callable(factory) and not isinstance(factory, nn.Module):
        result: Callable[[], Any] = factory
        return result
    there = [
        key
        for key, value in vars(module).items()
        if callable(value)
        and not key.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and not isinstance(value, nn.Module)
    ]
    what = "has no" if factory is None else f"gives {_kind(factory)}, not a"
    raise WeightsError(
        f"{name}: {what} function {function!r} that returns a network; it has "
        f"{', '.join(there[:6]) or 'none'}"
    )


def _call(factory: Callable[[], Any], name: str) -> Any:
    try:
        return factory()
    except BaseException as error:
        _fail(error, f"{name}: calling it without arguments failed")


def outputs_of(model: nn.Module, spec: InputSpec, name: str, seed: int) -> int:
    """Length of the logits, by a run on a grey clip; 0 where the output is no (1, N)."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            output = model(torch.zeros(1, *spec.shape))
        except BaseException as error:
            _fail(
                error,
                f"{name}: the network does not take a clip of its input {(1, *spec.shape)} "
                f"(N, C, T, H, W); state its InputSpec with --input or in its factory, or return "
                f"c3d_viz.wrap(network, inputs=...) if it takes something else",
            )
    fits = isinstance(output, torch.Tensor) and output.ndim == 2 and len(output) == 1
    return int(output.shape[1]) if fits else 0


def _check_depth(model: nn.Module, name: str) -> None:
    """Refuse what Python cannot walk through or copy: each level takes several calls in calls."""
    level = {id(model): model}
    for _ in range(_MAX_DEPTH):
        level = {id(child): child for module in level.values() for child in module.children()}
        if not level:
            return
    raise WeightsError(
        f"{name}: its modules lie more than {_MAX_DEPTH} deep in each other, or hold themselves; "
        f"put them side by side, as in one nn.Sequential"
    )


def _fail(error: BaseException, what: str) -> NoReturn:
    """Somebody else's code may fail in any way; interruptions and our own lines go through."""
    if isinstance(error, KeyboardInterrupt | MemoryError | GeneratorExit):
        raise error
    if isinstance(error, VizError):
        raise WeightsError(f"{what}: {error}") from None
    kind = type(error).__name__
    raise WeightsError(f"{what}: {kind}: {files.one_line(error, 300)}") from error


def _kind(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(type(v).__name__ for v in value[:4])})"
    return type(value).__name__
