"""What ATC says of a failure: the line that decides, what it means, and what to do.

ATC prints a code with a time, and then a trace. Codes that end on 9999 are "Inner Error!", which says nothing: the
first line behind it does. The codes and their kinds are those of the vendor's documents (hicann/ge,
docs/en/user_guides/error_codes), those of E2 are of the open fusion engine, and the rest is as users print them.
"""

import re
from typing import Final

from lwmport.targets.compile.plan import lines_of
from lwmport.targets.compile.verdict import quote

CODE: Final = re.compile(r"\b(E[0-9A-Z][0-9]{4}|EZ[0-9]{4})\b")

INNER: Final = re.compile(r"E[0-9A-Z]9999$")
"""Codes of errors inside of CANN, which stand for anything."""

STAMP: Final = re.compile(
    r"^.*?\b(?P<code>E[0-9A-Z][0-9]{4})\b(?:\[PID: *\d+\])?:? *(?:\[PID: *\d+\])? *"
    r"(?:\d{4}-\d\d-\d\d-[\d:.]+)? *(?:\(E[0-9A-Z][0-9]{4}\):?)? *"
)
"""What stands before a message: its code, a process and a time."""

PLACE: Final = re.compile(r"\[(?:FUNC|FILE|LINE|THREAD):[^\]]*\]")
"""Where in CANN's own source a message comes from."""

EMPTY: Final = (
    "Inner Error",
    "TraceBack (most recent call last)",
    "Solution:",
    "Possible Cause",
    "Please check",
    "Rectify",
)
"""Beginnings of lines that hold for every error."""

CAUSE: Final = re.compile(r"(?:\w*(?:Error|Exception)|\berror): (?P<what>.+)|\[message: ?(?P<message>[^\]]+)")
"""The last words of a Python that could not compile an operator, or those of the compiler that it called."""

OP: Final = re.compile(r"Failed to compile Op \[(?P<name>[^\]]+?),?\]")

OPERATOR: Final = (
    "ATC has no parser for this operator at this opset: run 'lwmport check --target ascend', convert with --opset 17"
)
SHAPES: Final = "the shapes do not fit the model: names and ranks of --input_shape come from its inputs"
GEARS: Final = "the gears do not fit: 2 to 100 of them, one size for each -1 of --input_shape, from left to right"
OPTION: Final = "an option has a value that this CANN does not take: see 'atc --help' of the installed version"
KERNEL: Final = (
    "no kernel for this operator, dtype or rank on this device: check --soc, and install CANN's operators for it"
)

PYTHON: Final = (
    "a Python module that CANN's compilers import is missing: pip install attrs decorator numpy psutil scipy sympy "
    "tornado cloudpickle absl-py, for the python3 that is first on the path"
)

COMPILE: Final = (
    "this operator does not compile for the device: run 'lwmport check --target ascend', give it another dtype or "
    "shape, or write it as other operators"
)

SIZES: Final = (
    "an input has a size that is not fixed, or --input_shape names another input: fix each size with 'lwmport check "
    "--target ascend --fix --input-shape NAME:1,3,224,224', or compile with --gear"
)

MEANINGS: Final = {
    "set input shape": SIZES,
    "set input_shape": SIZES,
    "only one is allowed": "the model imports several opset domains: run 'lwmport check --target ascend --fix', which "
    "leaves the one that is used",
    "has no responding version": "a node is of a domain that the model does not import: write it as operators of the "
    "default domain",
    "soc_version": "the device's name is not known to this CANN: see 'npu-smi info', and install its operators",
    "space is not enough": "the disk is full where atc writes: its folder, or that of --extra=--debug_dir",
    "Failed to malloc": "memory ran out: set TE_PARALLEL_COMPILER=1 and MAX_COMPILE_CORE_NUMBER=1",
}
"""Words of a line that decides -> what to do about it, whatever its code."""

FIXES: Final = {
    "EC0010": PYTHON,
    "E20001": COMPILE,
    "E20002": "an environment variable has a value that CANN does not take",
    "E20003": "a configuration file that an option names has content that CANN does not take",
    "E20007": "a fusion pass failed on this graph: switch it off with --extra=--fusion_switch_file=FILE",
    "E20101": OPTION,
    "E20103": OPTION,
    "E40000": PYTHON,
    "E40001": PYTHON,
    "E40020": COMPILE,
    "E40021": COMPILE,
    "EZ0501": KERNEL,
    "EZ3002": KERNEL,
    "EZ3003": KERNEL,
    "EZ9010": OPERATOR,
    "E19010": OPERATOR,
    "E10501": OPERATOR,
    "E11009": OPERATOR,
    "E13010": OPERATOR,
    "E16002": OPERATOR,
    "E10001": f"{OPTION}; an unknown soc_version reads so too",
    "E11010": "the parser of this operator refuses its attributes: run 'lwmport check --target ascend'",
    "E10016": "an operator that an option names is not in the model: its name changed with the conversion",
    "E10032": "a configuration file is no valid JSON",
    "E10041": "the weights were not found: the .data file has to lie beside the .onnx itself, not beside a link to it",
    "E10055": "this device or this version of CANN does not have the feature",
    "E10063": "the environment is not set: source set_env.sh of CANN",
    "E10410": "a file is missing or cannot be read: give paths that atc sees from the folder it runs in",
    "E13000": "a path is wrong: letters, digits, '_', '.', '-' and '/' only",
    "E13001": "a file cannot be opened: check its permissions",
    "E13002": "a path is too long",
    "E13004": "the result cannot be written: check permissions and free space",
    "E13005": "a configuration file cannot be parsed",
    "E13009": "nodes share a name or have none: run 'lwmport check --target ascend --fix'",
    "E13015": "the file is 2 GiB or more: keep weights as external data beside it",
    "E13018": "the model file is damaged: convert again",
    "E13023": "the .om would be too large: compile with --extra=--external_weight=2",
    "E13024": "an environment variable has a value that CANN does not take",
    "E14001": "an operator does not compile with these attributes: run 'lwmport check --target ascend'",
    "E14002": "a tensor has attributes that CANN does not take: run 'lwmport check --target ascend'",
    "E16001": "the model has no input, no output, or an empty one",
    "E16004": "the ONNX file holds data that CANN does not read",
    "E16005": "the model imports several opset domains: only the default one may be left",
}

KINDS: Final = {
    SHAPES: ("E10002", "E10011", "E10012", "E10019", "E10031", "E10040", "E10049", "E10050", "E11005"),
    GEARS: ("E10009", "E10018", "E10035", "E10036", "E10037", "E10038", "E10039", "E10045", "E10046"),
}
"""What to do -> the error codes of one kind."""

HINTS: Final = {
    "killed": "set TE_PARALLEL_COMPILER=1 and MAX_COMPILE_CORE_NUMBER=1, or compile where there is more memory",
    "library": "source set_env.sh of CANN; without a card add <arch>-linux/devlib to LD_LIBRARY_PATH too",
    "precision_mode_v2": "an older CANN has --precision_mode instead: --extra=--precision_mode=must_keep_origin_dtype",
    "EOFError": "a compile worker was killed: set TE_PARALLEL_COMPILER=1 and MAX_COMPILE_CORE_NUMBER=1",
}


INSIDE: Final = (
    "an error inside of CANN: if the line names an operator, op[...], give it another dtype or shape, or write it as "
    "other operators; the log under $HOME/ascend/log/debug/plog has more"
)


def explain(said: str) -> str:
    """Return the line that decides in what ATC said, and what to do about it; empty if there is no code."""
    lines = lines_of(said)
    coded = [(place, found.group()) for place, line in enumerate(lines) if (found := CODE.search(line))]
    for place, code in sorted(coded, key=lambda pair: bool(INNER.match(pair[1]))):
        line = _decisive(lines[place:])
        fix = next((fix for words, fix in MEANINGS.items() if words in line), "") or fix_of(code)
        return f"{quote(line)}; {fix}"
    return ""


def _decisive(lines: list[str]) -> str:
    """Return the first of some lines that says something, with its code, without times and places."""
    code = CODE.search(lines[0])
    for line in lines:
        told = STAMP.sub("", line, count=1) if CODE.search(line) else line
        message = PLACE.sub("", told).strip()
        if message and not message.startswith(EMPTY):
            cause = _cause(lines) if OP.search(message) else ""
            found = f"{OP.search(message)[0]}: {cause}" if cause else message  # type: ignore[index]
            return found if code is None or code.group() in found else f"{code.group()}: {found}"
    return lines[0]


def _cause(lines: list[str]) -> str:
    """Return why an operator did not compile: the last words of the first trace."""
    found = ""
    for line in lines:
        if found and CODE.match(line):
            break
        for cause in CAUSE.finditer(line):
            found = cause["what"] or cause["message"]
    return PLACE.sub("", found).strip()


def fix_of(code: str) -> str:
    """Return what to do about an error code."""
    if code in FIXES:
        return FIXES[code]
    if INNER.match(code):
        return INSIDE
    for fix, codes in KINDS.items():
        if code in codes:
            return fix
    return OPTION if code.startswith("E10") else "see this code in the vendor's documents, and the log"
