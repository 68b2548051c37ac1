"""Torch checkpoints (zip and old pickle form), read without running anything they contain.

Two locks: the pickle's opcodes are scanned for names outside a short list before any of it is
interpreted, and then ``torch.load`` reads it with ``weights_only=True``. Zip files are mapped
into memory (``mmap=True``), which also makes torch check every storage against the file.
"""

from __future__ import annotations

import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..errors import WeightsError
from . import files
from .raw import Raw

# Keys under which training scripts store the weights.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
_MAX_PICKLE = 64 * 1024**2  # the pickle of a zip checkpoint has names and shapes only
_LEGACY_PICKLES = 5  # magic number, protocol, system, the object, storage keys
_ALLOWED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch.nn.parameter Parameter",
    "torch.serialization _get_layout",
    "torch Size",
    "torch device",
    "_codecs encode",
    "__builtin__ set",
    "builtins set",
}
_DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
_ALLOWED |= {f"torch {dtype}" for dtype in (*_DTYPES, "bool")}
_ALLOWED |= {
    f"{module} {kind}Storage"
    for module in ("torch", "torch.cuda")  # old torch named the device's class
    for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte")
}
_ALLOWED |= {"torch BoolStorage", "torch.storage UntypedStorage"}


def read_torch(path: Path, max_bytes: int) -> Raw:
    """A torch checkpoint: a plain state_dict, or one inside a training checkpoint."""
    with files.open_checked(path) as file:
        zipped = file.read(2) == b"PK"
    try:
        if zipped:
            _scan_zip(path)
        else:
            _scan_legacy(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on the pickle protocol; strictness is ours
            loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except WeightsError:
        raise
    except Exception as error:
        # A damaged pickle can fail in any way; whatever it is, the file cannot be used.
        raise WeightsError(
            f"{path}: damaged, cut or not a torch checkpoint ({files.one_line(error, 100)})"
        ) from None
    return _tensors(path, loaded, "torch zip" if zipped else "torch pickle", max_bytes)


def _scan_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(Path(member.filename).name == "constants.pkl" for member in members):
            raise WeightsError(
                f"{path}: is a TorchScript program, which would be run to be read; save its "
                f"state_dict() with torch.save instead"
            )
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise WeightsError(f"{path}: refused, torch checkpoints are not compressed")
        for member in members:
            if member.filename.endswith(".pkl"):
                if member.file_size > _MAX_PICKLE:
                    raise WeightsError(f"{path}: refused, {member.filename} is too large")
                with archive.open(member) as stream:
                    _scan(path, stream)


def _scan_legacy(path: Path) -> None:
    with files.open_checked(path) as stream:
        for _ in range(_LEGACY_PICKLES):
            _scan(path, stream)
            position = stream.tell()
            if not stream.read(1):
                return  # torch will say what is missing
            stream.seek(position)


def _scan(path: Path, stream: IO[bytes]) -> None:
    """Refuse a pickle that names anything a state_dict does not need."""
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            name = str(argument)
            if name not in _ALLOWED:
                raise WeightsError(
                    f"{path}: refused, its pickle would call {name.replace(' ', '.')[:80]!r}; a "
                    f"checkpoint may only hold tensors: save model.state_dict(), not the model"
                )
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX"):
            raise WeightsError(
                f"{path}: refused, its pickle would import code ({opcode.name}); a checkpoint "
                f"may only hold tensors: save model.state_dict() with torch.save"
            )


def _tensors(path: Path, loaded: object, container: files.Container, max_bytes: int) -> Raw:
    if not isinstance(loaded, dict):
        raise WeightsError(
            f"{path}: holds a {type(loaded).__name__}, not a state_dict; save model.state_dict()"
        )
    wrapped = None
    entries = loaded
    if not any(isinstance(value, Tensor) for value in loaded.values()):
        for key in WRAPPERS:
            if isinstance(loaded.get(key), dict):
                wrapped, entries = key, loaded[key]
                break
    outside = loaded if wrapped else {}
    tensors: dict[str, Tensor] = {}
    ignored = [str(key) for key in outside if key != wrapped]
    total = 0
    for key, value in entries.items():
        if not isinstance(value, Tensor):
            ignored.append(str(key))
            continue
        if not isinstance(key, str):
            raise WeightsError(f"{path}: a tensor is stored under {key!r:.60}, not under a name")
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise WeightsError(f"{path}: {key} is a sparse or quantised tensor; save plain floats")
        total += value.numel() * value.element_size()
        files.check_expansion(path, key, total, total, max_bytes)
        _check_own_memory(path, key, value)
        tensors[key] = value.detach()
    return Raw(container, tensors, wrapped=wrapped, ignored=tuple(ignored))


def _check_own_memory(path: Path, key: str, value: Tensor) -> None:
    """Refuse a tensor expanded (stride 0) from a few bytes to gigabytes."""
    declared = value.numel() * value.element_size()
    if declared > 4 * max(value.untyped_storage().nbytes(), 1):
        raise WeightsError(
            f"{path}: refused, {key} declares {files.size_text(declared)} but stores "
            f"{files.size_text(value.untyped_storage().nbytes())}"
        )
