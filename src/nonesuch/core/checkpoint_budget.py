"""What reading a PyTorch checkpoint may cost, known before torch reads it.

`torch.load(weights_only=True)` runs no code, but a pickle of a few bytes can make it hash a tuple whose nodes double
with each level, copy one text a million times, or allocate storages that the file does not hold. So its opcodes are
gone through first with the size of everything in the place of the thing itself.
"""

import io
import pickletools
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch

_MOST_OPCODES = 5_000_000  # a checkpoint of 1,000 tensors with an optimiser's state has about 100,000
_MOST_WORK = 50_000_000  # nodes and characters that are hashed or copied; the same checkpoint has about a million
_MOST_WORK_PER_BYTE = 4  # of a longer pickle, such as one of many arrays, which are text in it
_PICKLES = 5  # of the format before zip: magic number, version, system, content, keys of storages
_AGAIN = "it nests the same parts in one another, or uses them again and again"
_KEPT = ("PUT", "BINPUT", "LONG_BINPUT")
_FETCHED = ("GET", "BINGET", "LONG_BINGET")
_INTO = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")  # change what lies below their arguments
_WORKING = ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST", "FROZENSET", "BINPERSID")


class TooCostlyError(Exception):
    """A checkpoint that would take very long or much memory to read; the text says what it does."""


class _Node:
    """A value as large as it would be written out; text and whole numbers are kept where they say a storage's size."""

    __slots__ = ("parts", "used", "value", "weight")

    def __init__(self, weight: int, value: object = None, parts: Sequence["_Node"] = ()) -> None:
        self.weight, self.value, self.parts, self.used = weight, value, parts, False


def check_checkpoint(path: Path) -> None:
    """Go through a checkpoint's pickles.

    Raises:
        TooCostlyError: reading it would take very long or much memory.
        Exception: it is damaged, in any way that its opcodes can be.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"  # as torch tells them apart
        file.seek(0)
        if not is_zip:
            budget = _Budget(size, size)
            for _ in range(_PICKLES):
                budget.go_through(file)
            return
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > size:
                raise TooCostlyError("its parts are packed to less than their size")
    # The reader that torch.load itself uses, so that both see the same pickle.
    content: bytes = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    _Budget(size, len(content)).go_through(io.BytesIO(content))


class _Budget:
    """What may still be spent on a file of `size` bytes, `pickled` of which are a pickle's."""

    def __init__(self, size: int, pickled: int) -> None:
        self._size, self._opcodes, self._work, self._claimed = size, 0, 0, 0
        self._most_work = max(_MOST_WORK, _MOST_WORK_PER_BYTE * pickled)
        self._storages: set[object] = set()

    def go_through(self, stream: BinaryIO | io.BytesIO) -> None:
        """One pickle, from where the stream stands."""
        stack: list[_Node | None] = []  # None for a mark
        memo: dict[int, _Node] = {}
        for opcode, argument, _ in pickletools.genops(stream):
            name = opcode.name
            self._opcodes += 1
            if self._opcodes > _MOST_OPCODES:
                raise TooCostlyError(f"it has more than {_MOST_OPCODES:,} steps")
            if name in _KEPT:
                memo[int(argument or 0)] = _top(stack)
            elif name == "MEMOIZE":
                memo[len(memo)] = _top(stack)
            elif name in _FETCHED:
                stack.append(memo[int(argument or 0)])
            elif name == "MARK":
                stack.append(None)
            elif name in _INTO:
                self._change(name, stack, _popped(opcode, stack, leave=1))
            elif name not in ("PROTO", "FRAME", "STOP"):
                self._make(opcode, argument, stack)

    def _make(self, opcode: pickletools.OpcodeInfo, argument: object, stack: list[_Node | None]) -> None:
        parts = _popped(opcode, stack)
        for part in parts:
            part.used = True
        own = len(argument) if isinstance(argument, str | bytes | bytearray) else 0
        node = _Node(1 + own + sum(part.weight for part in parts), argument, parts)
        if node.weight > self._most_work:
            raise TooCostlyError(_AGAIN)
        if opcode.name in ("GLOBAL", "STACK_GLOBAL") and "bytearray" in str([argument, *(p.value for p in parts)]):
            raise TooCostlyError("it makes bytes of any length")
        if opcode.name in _WORKING:
            self._spend(node.weight)
        if opcode.name == "BINPERSID":
            self._count_storage(parts[0].parts)
            node.weight = 1
        if opcode.stack_after:
            stack.append(node)

    def _change(self, name: str, stack: list[_Node | None], parts: list[_Node]) -> None:
        owner = _top(stack)
        if owner.used:  # whoever holds it already would have grown unseen
            raise TooCostlyError("it changes a part after it was put into another")
        hashed = parts[::2] if name.startswith("SETITEM") else parts if name in ("ADDITEMS", "BUILD") else []
        self._spend(sum(part.weight for part in hashed))
        for part in parts:
            part.used = True
        owner.weight += sum(part.weight for part in parts)

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > self._most_work:
            raise TooCostlyError(_AGAIN)

    def _count_storage(self, about: Sequence[_Node]) -> None:
        """A storage: ("storage", type, key, device, how many numbers, ...)."""
        if len(about) < 5 or not isinstance(about[4].value, int):
            return  # torch tells what is wrong
        if about[2].value not in self._storages:
            self._storages.add(about[2].value)
            self._claimed += max(about[4].value, 0)
        if self._claimed > self._size:
            raise TooCostlyError("it claims more numbers than it holds")


def _top(stack: list[_Node | None]) -> _Node:
    node = stack[-1]
    if node is None:
        raise ValueError("a mark where a value should be")
    return node


def _popped(opcode: pickletools.OpcodeInfo, stack: list[_Node | None], leave: int = 0) -> list[_Node]:
    """What an opcode takes from the stack, but for `leave` values at the bottom of it."""
    if pickletools.markobject in opcode.stack_before:
        parts: list[_Node] = []
        while (node := stack.pop()) is not None:
            parts.append(node)
        extra = opcode.stack_before.index(pickletools.markobject) - leave
        parts += [_pop(stack) for _ in range(extra)]
    else:
        parts = [_pop(stack) for _ in range(len(opcode.stack_before) - leave)]
    return parts[::-1]


def _pop(stack: list[_Node | None]) -> _Node:
    node = stack.pop()
    if node is None:
        raise ValueError("a mark where a value should be")
    return node
