"""CANN's error codes, each with what to do. The codes and their kinds are those of the vendor's documents."""

import re
from typing import Final

from lwmport.targets.compile.plan import lines_of
from lwmport.targets.compile.verdict import quote

CODE: Final = re.compile(r"\b(E[0-9A-Z][0-9]{4}|EZ[0-9]{4})\b")

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

FIXES: Final = {
    "EC0010": PYTHON,
    "E40000": PYTHON,
    "E40001": PYTHON,
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
    "E19999": "an error inside of CANN: the log under $HOME/ascend/log/debug/plog has more",
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


def explain(said: str) -> str:
    """Return the first error code in what ATC said, its line and the fix, or an empty text if there is no code."""
    for line in lines_of(said):
        found = CODE.search(line)
        if found:
            return f"{quote(line)}; {fix_of(found.group())}"
    return ""


def fix_of(code: str) -> str:
    """Return what to do about an error code."""
    if code in FIXES:
        return FIXES[code]
    for fix, codes in KINDS.items():
        if code in codes:
            return fix
    return OPTION if code.startswith("E10") else "see this code in the vendor's documents, and the log"
