"""Reads a pickle as data: an interpreter of its opcodes that knows no import and no call.

``pickletools`` splits the file into opcodes and executes nothing; what they build is built here: None, bool, int, float, str, bytes,
tuple, list, dict, set, frozenset, and NumPy arrays as `named` decodes them. An opcode or a name that asks for anything else ends the
reading. Protocols 0 to 5.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Collection
from typing import BinaryIO, Protocol

from nasopt.spaces.tables.importing.content import MalformedError, RefusedError, check_keys, printable
from nasopt.spaces.tables.importing.named import PARTS, Arguments, Array, Name, Record, built, name, new_record, reduced

__all__ = ["MAX_CONTAINERS", "MAX_DEPTH", "Source", "read_pickle"]

MAX_CONTAINERS = 20_000_000
"""Lists, tuples, dicts and sets: one byte of the file makes one, which takes 60 to 220 bytes of memory."""

MAX_DEPTH = 64
MAX_MARKS = 1_000

CONTAINERS = frozenset({list, tuple, dict, set, frozenset, Record})
ABSENT = object()

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
NEW = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
GATHERING = frozenset({"APPEND", "APPENDS", "LIST", "SETITEM", "SETITEMS", "DICT", "ADDITEMS", "FROZENSET", "TUPLE"})
PASSED = frozenset({"PROTO", "FRAME", "STOP"})
REFUSED = {
    "INST": "asks to build an object of {}",
    "OBJ": "asks to build an object of a class",
    "NEWOBJ": "asks to build an object of a class",
    "NEWOBJ_EX": "asks to build an object of a class",
    "EXT1": "asks for the registered extension {}",
    "EXT2": "asks for the registered extension {}",
    "EXT4": "asks for the registered extension {}",
    "PERSID": "refers to something outside the file, {}",
    "NEXT_BUFFER": "refers to a buffer outside the file",
    "READONLY_BUFFER": "refers to a buffer outside the file",
}


class Source(Protocol):
    """What ``pickletools`` reads: the opcodes start at the current position, and reading ends after the last."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self) -> bytes: ...


def read_pickle(
    source: Source | BinaryIO,
    persistent: Callable[[tuple[object, ...]], object] | None = None,
    summarise: Callable[[dict[object, object]], None] | None = None,
    records: str = "",
) -> object:
    """The data in the pickle that starts at the source's position; the source is left behind its last opcode.

    Args:
        source: the bytes.
        persistent: gives what a persistent id stands for (torch keeps the numbers of tensors apart); without it such ids are refused.
        summarise: is shown every dict once it has been given items, and may empty it or its parts. A benchmark of a few GB, of which
            a table needs one number in a thousand, is read in little memory so.
        records: objects of classes whose dotted names begin so are given as `Record`: what the pickle says of them, no class.

    Raises:
        RefusedError: for what is not data, with the name it asks for.
        MalformedError: for what is not a pickle, or half of one. (``pickletools`` raises plain ValueErrors.)
    """
    machine = _Machine(persistent, summarise, records)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # `pickletools` gives one for text with an escape that is none
        for opcode, argument, _ in pickletools.genops(source):  # type: ignore[arg-type]
            machine.step(opcode.name, argument)
    return machine.result()


class _Machine:
    """The stack machine of the pickle format, without its calls."""

    def __init__(
        self,
        persistent: Callable[[tuple[object, ...]], object] | None,
        summarise: Callable[[dict[object, object]], None] | None,
        records: str,
    ) -> None:
        self.persistent = persistent
        self.summarise = summarise
        self.records = records
        self.stack: list[object] = []
        self.marked: list[list[object]] = []
        """The stacks below each mark."""
        self.memo: list[object] = []
        self.texts: dict[str, str] = {}
        """Texts that come again and again (keys) are kept once, though the memo holds each of them."""
        self.containers = 0
        self.steps = 0

    def step(self, opcode: str, argument: object) -> None:
        self.steps += 1
        stack = self.stack
        if opcode in VALUES:
            if isinstance(argument, str):
                stack.append(self.texts.setdefault(argument, argument) if len(argument) < 32 else argument)
            else:
                stack.append(bytes(argument) if type(argument) is bytearray else argument)
        elif opcode in PUTS:
            assert isinstance(argument, int)
            self._memorise(argument)
        elif opcode == "MEMOIZE":
            self.memo.append(stack[-1])
        elif opcode in GETS:
            assert isinstance(argument, int)
            stack.append(self._remembered(argument))
        elif opcode in CONSTANTS:
            stack.append(CONSTANTS[opcode])
        elif opcode in NEW:
            stack.append(self._counted(NEW[opcode]()))
        elif opcode == "EMPTY_TUPLE":
            stack.append(())
        elif opcode in TUPLES:
            self._tuple(TUPLES[opcode])
        elif opcode == "MARK":
            if len(self.marked) >= MAX_MARKS:
                raise RefusedError(f"nests more than {MAX_MARKS} levels deep: refused")
            self.marked.append(stack)
            self.stack = []
        elif opcode in REFUSED:
            self._object(opcode, argument)
        elif opcode in GATHERING:
            self._gather(opcode)
        elif opcode not in PASSED:
            self._name(opcode, argument)

    def _object(self, opcode: str, argument: object) -> None:
        """What is not data, but for objects that are read as records."""
        if opcode != "NEWOBJ" or not self.records:
            what = printable(str(argument).replace(" ", "."))
            raise RefusedError(f"{REFUSED[opcode].format(what)} ({opcode}): refused; nothing was executed")
        arguments, kind = self.stack.pop(), self.stack.pop()
        self.stack.append(self._counted(new_record(arguments, kind, self.records)))

    def _gather(self, opcode: str) -> None:
        """The opcodes that put values into a container."""
        stack = self.stack
        match opcode:
            case "APPEND":
                self._extend([stack.pop()])
            case "APPENDS":
                self._extend(self._above_mark())
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._items([key, value])
            case "SETITEMS":
                self._items(self._above_mark())
            case "ADDITEMS":
                self._add(self._above_mark())
            case "TUPLE":
                items = self._above_mark()
                self.stack += items
                self._tuple(len(items))
            case "LIST":
                items = self._above_mark()
                self.stack.append(self._counted([]))
                self._extend(items)
            case "DICT":
                items = self._above_mark()
                self.stack.append(self._counted({}))
                self._items(items)
            case "FROZENSET":
                items = self._above_mark()
                self.stack.append(self._counted(set()))
                self._add(items)
                self.stack[-1] = frozenset(items)

    def _name(self, opcode: str, argument: object) -> None:
        """The opcodes that import and call, elsewhere."""
        stack = self.stack
        match opcode:
            case "GLOBAL":
                module, _, attribute = str(argument).partition(" ")
                stack.append(name(module, attribute, self.records))
            case "STACK_GLOBAL":
                match stack.pop(), stack.pop():
                    case (str() as attribute, str() as module):
                        stack.append(name(module, attribute, self.records))
                    case _:
                        raise MalformedError("a global whose name is not text")
            case "REDUCE":
                arguments = stack.pop()
                stack.append(self._counted(reduced(stack.pop(), arguments)))
            case "BUILD":
                state = stack.pop()
                stack.append(built(stack.pop(), state))
            case "BINPERSID":
                stack.append(self._outside(stack.pop()))
            case "POP":
                if stack or not self.marked:
                    stack.pop()
                else:
                    self._above_mark()
            case "POP_MARK":
                self._above_mark()
            case "DUP":
                stack.append(stack[-1])
            case _:
                raise RefusedError(f"has the opcode {opcode}, which is not data: refused; nothing was executed")

    def result(self) -> object:
        if len(self.stack) != 1 or self.marked:
            raise MalformedError("the pickle ends with nothing, or with more than one value")
        value = self._plain(self.stack)[0]
        check_depth(value)
        return value

    def _above_mark(self) -> list[object]:
        items = self.stack
        if not self.marked:
            raise MalformedError("an opcode that needs a mark, without one")
        self.stack = self.marked.pop()
        return items

    def _plain(self, values: list[object]) -> list[object]:
        if not PARTS.isdisjoint(map(type, values)):
            part = next(value for value in values if type(value) in PARTS)
            held = part if isinstance(part, Name) else "a part of an array"
            raise RefusedError(f"holds {held} as a value: refused; nothing was executed")
        return values

    def _counted(self, value: object) -> object:
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise RefusedError(f"holds more than {MAX_CONTAINERS:,} lists, dicts and the like: refused")
        return value

    def _memorise(self, index: int) -> None:
        if index == len(self.memo):
            self.memo.append(self.stack[-1])
            return
        if not 0 <= index <= self.steps:  # each entry takes an opcode, and Python 2 counts from 1
            raise MalformedError(f"a memo entry {index} after {self.steps} opcodes")
        self.memo.extend([ABSENT] * (index + 1 - len(self.memo)))
        self.memo[index] = self.stack[-1]

    def _remembered(self, index: int) -> object:
        value = self.memo[index] if 0 <= index < len(self.memo) else ABSENT
        if value is ABSENT:
            raise MalformedError(f"a memo entry {index} that was never made")
        return value.value if type(value) is Array and value.value is not None else value

    def _tuple(self, length: int) -> None:
        if len(self.stack) < length:
            raise MalformedError("a tuple of more values than there are")
        items = self.stack[len(self.stack) - length :]
        del self.stack[len(self.stack) - length :]
        kind = tuple if PARTS.isdisjoint(map(type, items)) else Arguments
        self.stack.append(self._counted(kind(items)))

    def _extend(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise RefusedError(f"asks to append to {type(target).__name__}: refused; nothing was executed")
        target += self._plain(items)

    def _items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise RefusedError(f"asks to set {len(items)} items of {type(target).__name__}: refused; nothing was executed")
        keys, values = items[::2], self._plain(items)[1::2]
        check_keys(keys)
        target.update(zip(keys, values, strict=True))
        if self.summarise is not None:
            self.summarise(target)

    def _add(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise RefusedError(f"asks to add to {type(target).__name__}: refused; nothing was executed")
        check_keys(self._plain(items))
        target.update(items)

    def _outside(self, identifier: object) -> object:
        if self.persistent is None:
            raise RefusedError("refers to something outside the file (BINPERSID): refused; nothing was executed")
        if not isinstance(identifier, tuple):
            raise RefusedError(f"refers to something outside the file by {type(identifier).__name__}: refused; nothing was executed")
        return self.persistent(identifier)


def check_depth(value: object) -> None:
    """Data no deeper than ``MAX_DEPTH``, whatever is shared in it: so that what walks over it need not fear for its stack.

    Raises:
        RefusedError: when it is deeper.
    """
    seen: set[int] = set()
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for container in level:
            for part in _parts(container):
                if type(part) in CONTAINERS and id(part) not in seen:
                    seen.add(id(part))
                    below.append(part)
        if not below:
            return
        level = below
    raise RefusedError(f"nests more than {MAX_DEPTH} levels deep: refused")


def _parts(container: object) -> Collection[object]:
    if isinstance(container, Record):
        return container.fields.values()
    if isinstance(container, dict):
        return container.values()  # keys are checked when they are set
    if isinstance(container, (list, tuple, set, frozenset)):
        return container
    return ()
