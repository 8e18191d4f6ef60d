"""Of what ATC prints, the line that decides is quoted, with its meaning and what to do."""

from textwrap import dedent

import pytest

from lwmport.targets.ascend.errors import explain

START = """\
    ATC start working now, please wait for a moment.
    ATC run failed, Please check the detail log, Try 'atc --help' for more information
"""
LOGS = {
    "an inner error": """\
    E89999: Inner Error!
    E89999: [PID: 7] TIME op[Resize], rank 3 is not taken.[FUNC:Check][FILE:a.cc][LINE:9]
            TraceBack (most recent call last):
           Tiling failed
    """,
    "an inner error of a newer CANN": """\
    EZ9999: Inner Error!
    EZ9999[PID: 7] TIME (EZ9999):  the first size is not 4[FUNC:Check][FILE:a.cc][LINE:9]
    """,
    "an inner error that its trace alone explains": """\
    E19999: Inner Error!
            TraceBack (most recent call last):
            Failed to fuse Add_3.[FUNC:Fuse][FILE:b.cc][LINE:1]
    """,
    "an inner error that says nothing": "    E19999: Inner Error!\n",
    "an operator that Python cannot compile": """\
    E40021: [PID: 7] TIME Failed to compile Op [Mul_4,]. (oppath: [Compile /a/mul.py failed with: File "/a/mul.py",
        raise Error(text)
    tbe.TBEPythonError: [EB0000] dtype int64 is not taken
    ], optype: [Mul])
            Solution: See the log.
    """,
    "an operator that its compiler cannot compile": """\
    E40021: Failed to compile Op [Add1]. (oppath: [Compile /a/add.py failed with errormsg/stack: File "/a/add.py",
    /a/runtime.h:20:10: fatal error: 'type_traits' file not found
    """,
    "an operator behind inner errors": """\
    E89999: Inner Error!
    E89999: [PID: 7] TIME Tiling failed
    E20001: [PID: 7] TIME Failed to compile Op [Conv_1]. (optype: [Conv2D])
    """,
    "a size that is not fixed": """\
    E10001: Value [-1] for parameter [x] is invalid. Reason: maybe you should set input_shape to specify its shape.
    """,
    "a size that is not fixed, in a newer CANN": """\
    E10001: [PID: 7] TIME (E10001): Value NULL for parameter --input_shape is invalid. Reason: set input shape.
    """,
    "another option": """\
    E10001: Value FORMAT_ALL for parameter --input_format is invalid. Reason: not within the valid range.
    """,
    "several domains": "    E16005: The model has 2 [--domain_version] fields, but only one is allowed.\n",
    "a plugin that refuses": "    E11010: Failed to parse op [Pad_1]\n",
    "a fusion pass": "    E20007: Failed to run graph fusion pass [FusePass]. The pass type is [built-in]\n",
}
QUOTED = {
    "an inner error": "E89999: op[Resize], rank 3 is not taken.; an error inside of CANN",
    "an inner error of a newer CANN": "EZ9999: the first size is not 4; an error inside of CANN",
    "an inner error that its trace alone explains": "E19999: Failed to fuse Add_3.; an error inside of CANN",
    "an inner error that says nothing": "E19999: Inner Error!; an error inside of CANN",
    "an operator that Python cannot compile": "E40021: Failed to compile Op [Mul_4,]: [EB0000] dtype int64",
    "an operator that its compiler cannot compile": "E40021: Failed to compile Op [Add1]: 'type_traits' file not found",
    "an operator behind inner errors": "E20001: Failed to compile Op [Conv_1]. (optype: [Conv2D]); this operator",
    "a size that is not fixed": "to specify its shape.; an input has a size that is not fixed",
    "a size that is not fixed, in a newer CANN": "set input shape.; an input has a size that is not fixed",
    "another option": "invalid. Reason: not within the valid range.; an option has a value",
    "several domains": "but only one is allowed.; the model imports several opset domains",
    "a plugin that refuses": "E11010: Failed to parse op [Pad_1]; the parser of this operator refuses its attributes",
    "a fusion pass": "E20007: Failed to run graph fusion pass [FusePass]",
}


@pytest.mark.parametrize("name", LOGS)
def test_the_line_that_decides_is_quoted_with_its_meaning(name: str) -> None:
    said = dedent(START + LOGS[name]).replace("TIME", "2025-01-02-03:04:05.678.901")
    found = explain(said)
    assert QUOTED[name] in found
    assert found.startswith(("E", "[")), found
    assert "PID" not in found
