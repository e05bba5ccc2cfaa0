"""Reading of CIFAR-10's batches. They are pickles, which could run any code, so nothing is ever unpickled: the few
opcodes that such files need are followed here, and a call in a file is kept as a note of what it would have called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from advgen.data.checksum import md5
from advgen.specs.datasets import RawDataset

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

PUBLISHED = 10_000
"""Images in each published batch."""
PIXELS = 3 * 32 * 32


class Call:
    """A call that a pickle asks for, and that is never made."""

    def __init__(self, name: str, arguments: Any):
        self.name, self.arguments, self.state = name, arguments, None


class Name(NamedTuple):
    """The name of a function or class that a pickle refers to, and that is never imported."""

    name: str


class _Mark:
    """Where a collection begins on the stack."""


def read(raw: Sequence[Path], spec: RawDataset | None = None) -> tuple[Arrays, Arrays]:
    """(images (N, 3, 32, 32) uint8, labels (N,) uint8) for training and for test, the last file."""
    batches = [read_batch(path) for path in raw]
    images, labels = (np.concatenate([batch[part] for batch in batches[:-1]]) for part in (0, 1))
    return (images, labels), batches[-1]


def intact(path: Path, spec: RawDataset) -> bool:
    """Whether a raw file is the published one, or a readable one that is smaller."""
    if md5(path) == spec.raw[path.name]:
        return True
    try:
        return len(read_batch(path)[0]) < PUBLISHED
    except ValueError:
        return False


def read_batch(path: Path) -> Arrays:
    """Images and labels of one batch as torchvision stores it; ValueError if it is anything else."""
    try:
        batch = literal(path.read_bytes())
        batch = {_text(key): value for key, value in batch.items()}
        labels = np.array(batch["labels"], dtype=np.uint8)
        images = np.frombuffer(_array_bytes(batch["data"]), np.uint8).reshape(len(labels), 3, 32, 32)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: not a batch of CIFAR-10 ({reason}); delete it and run again") from None
    if len(labels) == 0 or labels.max() > 9:
        raise ValueError(f"{path}: not a batch of CIFAR-10 (labels must be 0 to 9); delete it and run again")
    return images, labels


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _array_bytes(value: Any) -> bytes:
    """What a pickled array of bytes holds, in C order, from the note of the call that would have made it."""
    name = value.name.rpartition(".")[2]
    if name == "_reconstruct":  # filled by its state: version, shape, type, Fortran order, content
        _, shape, kind, fortran, content = value.state
    elif name == "_frombuffer":
        content, kind, shape, order = value.arguments
        fortran = order != "C"
    else:
        raise ValueError(f"its images are made by {value.name}")
    if kind.arguments[0] not in ("u1", "uint8") or fortran or shape[1:] != (PIXELS,):
        raise ValueError("its images are not rows of 3072 bytes")
    return _content(content)


def _content(value: Any) -> bytes:
    if isinstance(value, Call) and value.name == "_codecs.encode":  # how Python 3 writes bytes for Python 2
        return str(value.arguments[0]).encode("latin-1")
    return value if isinstance(value, bytes) else value.encode("latin-1")


def literal(content: bytes) -> Any:
    """The value of a pickle made of dictionaries, lists, tuples, texts, bytes and numbers; ValueError for others.

    Functions and classes stay `Name`s, and what they would make stays a `Call`.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def collected() -> list[Any]:
        at = max(place for place, one in enumerate(stack) if isinstance(one, _Mark))
        items = stack[at + 1 :]
        del stack[at:]
        return items

    argument: Any
    for opcode, argument, _ in pickletools.genops(content):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                stack.append(_Mark())
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[opcode.name]())
            case "DICT":
                items = collected()
                stack.append(dict(zip(items[::2], items[1::2], strict=True)))
            case "LIST":
                stack.append(collected())
            case "TUPLE":
                stack.append(tuple(collected()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(opcode.name[-1])
                stack[-size:] = [tuple(stack[-size:])]
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = collected()
                stack[-1].extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "SETITEMS":
                items = collected()
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(Name(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(Name(f"{module}.{name}"))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(Call(function.name, arguments))
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case name if name in _CONSTANTS:
                stack.append(bytes(argument) if isinstance(argument, bytearray) else argument)
            case name:
                raise ValueError(f"it holds a pickle opcode, {name}, that no batch needs")
    raise ValueError("it ends too early")


_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
