"""A pickle interpreter that can build dicts and arrays, and nothing else.

Python's own runs whatever the file names. This one knows a fixed set of opcodes (`OPCODES`) and a fixed set of
names (such as `lwmport.checkpoints.pickle.names.ALLOWED`), calls nothing of the file's choosing, and leaves payloads
where they are.
"""

from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.pickle.machine import Machine, Names
from lwmport.checkpoints.pickle.opcodes import OPCODES, REFUSED
from lwmport.errors import CheckpointError

MAX_STEPS: Final = 1_000_000
"""Opcodes in one file. A tensor takes about 50; each holds at most a few hundred bytes of memory."""
STOP: Final = b"."


def run(cursor: Cursor, names: Names, *, alone: bool = True) -> object:
    """Interpret the pickle at the cursor and return its value, made of dicts, what ``names`` make and small values.

    Nothing may follow it where it is ``alone``; else the cursor stands behind it.

    Raises:
        CheckpointError: the file is damaged, or uses what no checkpoint needs; nothing was run.
    """
    machine = Machine(cursor, names)
    for _ in range(MAX_STEPS):
        code = cursor.take(1)
        if code == STOP:
            return _result(machine, alone=alone)
        operation = OPCODES.get(code)
        if operation is None:
            _refuse(machine, code)
        else:
            operation(machine)
    raise CheckpointError(f"expected at most {MAX_STEPS:,} opcodes, found more")


def _result(machine: Machine, *, alone: bool) -> object:
    value = machine.pop()
    if machine.stack or machine.marks:
        raise CheckpointError(f"damaged: {len(machine.stack)} values left at the end of the pickle")
    if alone and machine.cursor.left:
        raise CheckpointError(f"expected the end after the pickle, found {machine.cursor.left} more bytes")
    return value


def _refuse(machine: Machine, code: bytes) -> None:
    what = REFUSED.get(code)
    if code == b"i":
        machine.names.find(machine.word(), machine.word())
    if what is None:
        offset = machine.cursor.position - 1
        raise CheckpointError(f"damaged, or no pickle: unknown opcode {code[0]:#04x} at offset {offset}")
    raise CheckpointError(f"refused: the pickle {what}; nothing was run")
