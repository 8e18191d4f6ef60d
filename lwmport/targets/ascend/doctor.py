"""Checks of Huawei's CANN."""

from collections.abc import Iterator
from typing import Final

from lwmport.targets.ascend.cards import CARDS
from lwmport.targets.ascend.chips import CHIPS
from lwmport.targets.ascend.compile import PROGRAMS, SDK
from lwmport.targets.doctor.cards import Card, cards_of
from lwmport.targets.doctor.check import Check, Trouble, error, note, warning
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.machine import Machine, numbers

SET_ENV: Final = tuple(f"{place}/set_env.sh" for place in SDK.places)
OPSET_17: Final = (7,)
"""The first CANN that is documented to read opset 17 (7.0: opsets 9 to 18); 5.0 read 8 to 13."""

SEPARATE_OPERATORS: Final = (8, 5)
"""From here on the operators of each chip are a package of their own."""

COMPILERS_MEMORY: Final = 16 * 10**9
"""What eight compile workers, the default, take."""

WORKING: Final = "Warning"
"""The health of a card that works with a minor fault."""

PLATFORM: Final = "compiler/data/platform_config"


def toolkit(machine: Machine) -> Iterator[Trouble]:
    """ATC is there, and its environment is set."""
    home = machine.environment.get("ASCEND_HOME_PATH", "")
    if home and not machine.has_file(home):
        yield error(f"ASCEND_HOME_PATH={home}, which is not there", "unset ASCEND_HOME_PATH and source set_env.sh")
    script = next((path for path in SET_ENV if path in machine.files), None)
    if "atc" in machine.tools:
        return
    if script:
        yield error("CANN is installed, but its environment is not set", f"source {script}")
    else:
        yield error(
            "no CANN: atc is not on the path",
            "install the CANN toolkit, or let 'lwmport compile --target ascend' write the command for another host",
        )


def version(machine: Machine) -> Iterator[Trouble]:
    """CANN is new enough for opset 17, and has the operators of the card that is in the machine."""
    found = cann_version(machine)
    if found and found < OPSET_17:
        yield warning(f"CANN {'.'.join(map(str, found))}, older than opset 17", "convert with --opset 13")
    home = machine.environment.get("ASCEND_HOME_PATH", "")
    if not home or not machine.has_file(f"{home}/{PLATFORM}"):
        return
    for soc in sorted({card.soc for card in cards_of(machine, CARDS)}):
        if soc in CHIPS and f"{home}/{PLATFORM}/{soc}.ini" not in machine.files:
            hint = "the operators' package of this chip" if found and found >= SEPARATE_OPERATORS else "a newer CANN"
            yield error(f"this CANN does not know {soc}, which is in the machine", f"install {hint}")


def card(machine: Machine) -> Iterator[Trouble]:
    """The card, if there is one, answers and is well."""
    found = cards_of(machine, CARDS)
    for one in found:
        if one.health != "OK":
            yield _ill(one)
        if one.soc not in CHIPS:
            yield note(f"the name {one.name} does not tell the chip", f"npu-smi info -t board -i {one.index} -c 0")
    if found:
        return
    if machine.has_file("/dev/davinci"):
        yield warning("a card is there, but npu-smi does not see it", "run as a member of the group HwHiAiUser")
        return
    yield note("no Ascend card: ATC compiles here, an .om runs elsewhere", "--soc names the card to compile for")
    path = machine.environment.get("LD_LIBRARY_PATH", "")
    home = machine.environment.get("ASCEND_HOME_PATH", "")
    if home and "devlib" not in path:
        devlib = f"{home}/{machine.processor}-linux/devlib"
        yield warning(
            "a host without a card, and devlib is not on LD_LIBRARY_PATH: atc lacks the driver's libraries",
            f"export LD_LIBRARY_PATH={devlib}:$LD_LIBRARY_PATH",
        )


def _ill(one: Card) -> Trouble:
    """Return what a card that is not well means: npu-smi knows OK, Warning, Alarm, Critical and UNKNOWN.

    Source: the vendor's reference of ``npu-smi info -t health``; UNKNOWN is a card that is absent or not started.
    """
    found = f"chip {one.chip} of NPU {one.index} ({one.name}) says {one.health or 'nothing of its health'}"
    ask = f"npu-smi info -t health -i {one.index} -c {one.chip}"
    if one.health == WORKING:
        return warning(
            f"{found}: it runs, with a minor fault; ATC needs no card",
            f"{ask} tells the error code: look it up before you trust numbers or times of this card",
        )
    return error(found, f"{ask} tells the error code")


def workers(machine: Machine) -> Iterator[Trouble]:
    """Eight compile workers have room."""
    if machine.memory < COMPILERS_MEMORY and "TE_PARALLEL_COMPILER" not in machine.environment:
        yield warning(
            f"{machine.memory / 1e9:.1f} GB of memory for eight compile workers: the system may kill them",
            "export TE_PARALLEL_COMPILER=1 MAX_COMPILE_CORE_NUMBER=1",
        )


def runner(machine: Machine) -> Iterator[Trouble]:
    """An .om can be run."""
    if machine.has_file("/dev/davinci") and "libascendcl.so" not in machine.libraries:
        yield warning("libascendcl.so is not found: no .om runs", "source set_env.sh of CANN")


def cann_version(machine: Machine) -> tuple[int, ...]:
    """Return the version in the toolkit's own file, empty where there is none."""
    texts = (text for path, text in machine.files.items() if path.endswith(("_install.info", "version.cfg")))
    lines = (line for text in texts for line in text.splitlines() if line.lower().startswith("version="))
    return next((numbers(line.partition("=")[2].strip("[] ")) for line in lines), ())


_CHECKS: Final = (
    Check(name="cann", look=toolkit),
    Check(name="cann-version", look=version),
    Check(name="npu", look=card),
    Check(name="compile-workers", look=workers),
    Check(name="om-runner", look=runner),
)

DOCTOR: Final = Doctor(
    checks=_CHECKS,
    signs=("/dev/davinci", "/usr/local/Ascend", "atc", "npu-smi"),
    tools=PROGRAMS,
    commands={"npu-smi": ("npu-smi", "info")},
    cards=CARDS,
    folders=("/usr/local/Ascend/driver/tools",),
    libraries=("libascendcl.so",),
    places=("/dev/davinci0", "/dev/davinci_manager", "/usr/local/Ascend", *SET_ENV),
    variables=("ASCEND_HOME_PATH",),
    homes=SDK.places,
    versions=("*_install.info", "version.cfg", "*-linux/*_install.info"),
    parts=(f"{PLATFORM}/*.ini",),
)
