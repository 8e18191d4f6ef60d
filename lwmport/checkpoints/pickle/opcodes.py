"""What each opcode of a pickle does to the machine, protocols 0 to 5. Source: CPython's pickletools."""

import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from lwmport.checkpoints.pickle.machine import Machine
from lwmport.checkpoints.pickle.values import Global, Text, Unread
from lwmport.checkpoints.tree import put
from lwmport.errors import CheckpointError
from lwmport.wording import kind_of, shown

PROTOCOL: Final = 5
MAX_INTEGER: Final = 16
"""Bytes of an integer: sizes and versions are all there is to count."""


def _protocol(machine: Machine) -> None:
    version = machine.cursor.unsigned(1, "little")
    if version > PROTOCOL:
        raise CheckpointError(f"expected a pickle of protocol 0 to {PROTOCOL}, found {version}")


def _frame(machine: Machine) -> None:
    """A frame only promises how many bytes follow; it needs no reading of its own."""
    length = machine.cursor.unsigned(8, "little")
    machine.cursor.window(machine.cursor.position, machine.cursor.left).skip(length)


def _integer(machine: Machine, width: int, *, signed: bool = False) -> None:
    machine.push(int.from_bytes(machine.cursor.take(width), "little", signed=signed))


def _long(machine: Machine, width: int) -> None:
    length = machine.cursor.unsigned(width, "little")
    if length > MAX_INTEGER:
        raise CheckpointError(f"expected an integer of at most {MAX_INTEGER} bytes, found {length}")
    _integer(machine, length, signed=True)


def _number_line(machine: Machine, kind: type[int] | type[float]) -> None:
    """Protocol 0: ``01`` and ``00`` are True and False, ``5L`` is 5."""
    word = machine.word(limit=40)
    if word in {"00", "01"} and kind is int:
        machine.push(word == "01")
        return
    try:
        machine.push(kind(word.removesuffix("L")))
    except ValueError as error:
        raise CheckpointError(f"damaged: expected a number, found {shown(word)!r}") from error


def _double(machine: Machine) -> None:
    machine.push(struct.unpack(">d", machine.cursor.take(8))[0])


def _sized(machine: Machine, push: Callable[[Machine, int], None], width: int) -> None:
    push(machine, machine.cursor.unsigned(width, "little"))


def _index_line(machine: Machine, use: Callable[[Machine, int], None]) -> None:
    _number_line(machine, int)
    use(machine, _index(machine.pop()))


def _index(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise CheckpointError("damaged: expected an index of 0 or more, found another")
    return value


def _remember_next(machine: Machine) -> None:
    machine.remember(len(machine.memo))


def _tuple(machine: Machine, count: int) -> None:
    machine.push(machine.pops(count))


def _set_items(machine: Machine, pairs: list[object]) -> None:
    target = machine.top()
    if isinstance(target, Unread):
        return
    if not isinstance(target, dict):
        raise CheckpointError(f"refused: the pickle sets items of {kind_of(target)}; nothing was run")
    if len(pairs) % 2:
        raise CheckpointError("damaged: a key without a value")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        put(target, key.value if isinstance(key, Text) else key, value)


def _append(machine: Machine, values: list[object]) -> None:
    target = machine.top()
    if isinstance(target, Unread):
        return
    if not isinstance(target, list):
        raise CheckpointError(f"refused: the pickle appends to {kind_of(target)}; nothing was run")
    target.extend(values)


def _new_dict(machine: Machine) -> None:
    pairs = machine.group()
    machine.push({})
    _set_items(machine, pairs)


def _name_lines(machine: Machine) -> None:
    machine.push(machine.names.find(machine.word(), machine.word()))


def _name_stack(machine: Machine) -> None:
    match machine.pops(2):
        case (Text(value=str() as module), Text(value=str() as name)):
            machine.push(machine.names.find(module, name))
        case _:
            raise CheckpointError("damaged: expected the two texts of a name, found other values")


def _reduce(machine: Machine) -> None:
    match machine.pops(2):
        case (Global(call=call), tuple() as args):
            machine.push(call(args))
        case (function, _):
            raise CheckpointError(f"refused: the pickle calls {kind_of(function)}; nothing was run")


def _new_object(machine: Machine) -> None:
    match machine.pops(2):
        case (Global(call=call, unread=True), tuple() as args):
            machine.push(call(args))
        case _:
            raise CheckpointError("refused: the pickle builds an object (NEWOBJ); nothing was run")


def _build(machine: Machine) -> None:
    state = machine.pop()
    machine.names.set_state(machine.top(), state)


def _persistent(machine: Machine) -> None:
    load = machine.names.persistent
    if load is None:
        raise CheckpointError("refused: the pickle refers to an object outside the file (BINPERSID); nothing was run")
    machine.push(load(machine.pop()))


OPCODES: Final[Mapping[bytes, Callable[[Machine], None]]] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b"(": Machine.mark,
    b"N": lambda machine: machine.push(None),
    b"\x88": lambda machine: machine.push(True),  # noqa: FBT003 - a value of the file
    b"\x89": lambda machine: machine.push(False),  # noqa: FBT003 - a value of the file
    b"I": partial(_number_line, kind=int),
    b"L": partial(_number_line, kind=int),
    b"F": partial(_number_line, kind=float),
    b"G": _double,
    b"J": partial(_integer, width=4, signed=True),
    b"K": partial(_integer, width=1),
    b"M": partial(_integer, width=2),
    b"\x8a": partial(_long, width=1),
    b"\x8b": partial(_long, width=4),
    b"V": Machine.text_line,
    b"\x8c": partial(_sized, push=Machine.text, width=1),
    b"X": partial(_sized, push=Machine.text, width=4),
    b"\x8d": partial(_sized, push=Machine.text, width=8),
    b"C": partial(_sized, push=Machine.bytes, width=1),
    b"B": partial(_sized, push=Machine.bytes, width=4),
    b"\x8e": partial(_sized, push=Machine.bytes, width=8),
    b"\x96": partial(_sized, push=Machine.bytes, width=8),
    b")": partial(_tuple, count=0),
    b"\x85": partial(_tuple, count=1),
    b"\x86": partial(_tuple, count=2),
    b"\x87": partial(_tuple, count=3),
    b"t": lambda machine: machine.push(tuple(machine.group())),
    b"]": lambda machine: machine.push([]),
    b"l": lambda machine: machine.push(machine.group()),
    b"a": lambda machine: _append(machine, [machine.pop()]),
    b"e": lambda machine: _append(machine, machine.group()),
    b"}": lambda machine: machine.push({}),
    b"d": _new_dict,
    b"s": lambda machine: _set_items(machine, list(machine.pops(2))),
    b"u": lambda machine: _set_items(machine, machine.group()),
    b"p": partial(_index_line, use=Machine.remember),
    b"q": partial(_sized, push=Machine.remember, width=1),
    b"r": partial(_sized, push=Machine.remember, width=4),
    b"\x94": _remember_next,
    b"g": partial(_index_line, use=Machine.recall),
    b"h": partial(_sized, push=Machine.recall, width=1),
    b"j": partial(_sized, push=Machine.recall, width=4),
    b"c": _name_lines,
    b"\x93": _name_stack,
    b"R": _reduce,
    b"\x81": _new_object,
    b"b": _build,
    b"Q": _persistent,
}
"""What a checkpoint needs. Everything else is refused."""

REFUSED: Final[Mapping[bytes, str]] = {
    b"i": "builds an object (INST)",
    b"o": "builds an object (OBJ)",
    b"\x92": "builds an object (NEWOBJ_EX)",
    b"P": "refers to an object outside the file (PERSID)",
    b"\x82": "uses a registered extension code (EXT1)",
    b"\x83": "uses a registered extension code (EXT2)",
    b"\x84": "uses a registered extension code (EXT4)",
    b"\x97": "keeps its bytes outside the file (NEXT_BUFFER)",
    b"\x98": "keeps its bytes outside the file (READONLY_BUFFER)",
    b"S": "holds Python 2 text (STRING)",
    b"T": "holds Python 2 text (BINSTRING)",
    b"U": "holds Python 2 text (SHORT_BINSTRING)",
    b"\x8f": "holds a set (EMPTY_SET)",
    b"\x90": "holds a set (ADDITEMS)",
    b"\x91": "holds a set (FROZENSET)",
    b"0": "drops values (POP)",
    b"1": "drops values (POP_MARK)",
    b"2": "doubles values (DUP)",
}
"""Opcodes that pickle has and no checkpoint needs, in words for the message."""
