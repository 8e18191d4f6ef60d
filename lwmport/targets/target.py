"""A target: all that this package knows of one vendor's devices and tools, as one record."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lwmport.errors import UsageError
from lwmport.registry import check_known, load, meant
from lwmport.targets.chip import Chip
from lwmport.types import Compilation, Dialect

if TYPE_CHECKING:
    from lwmport.targets.doctor.doctor import Doctor
    from lwmport.targets.fix.fixes import Fixes
    from lwmport.targets.operators import OperatorList
    from lwmport.targets.rules.rule import Rule

OPTIONS: Final = ("cann", "chip", "extra", "keep_float32", "pictures_as_bytes", "toolchain")
"""Options that change something for some targets only: of ``check`` the first two, of ``compile`` all but the first."""

FLOATS: Final = ("float16", "bfloat16", "float32")
"""Precisions that rules can be asked about."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One target. A *reference* is ``"module:attribute"``, loaded on first use: the record itself loads nothing.

    Attributes:
        name: as ``--target`` takes it.
        title: the heading of its page.
        summary: who compiles for it, and to what, on one line.
        formats: format -> the dialect that is meant for it; the first format is the usual one.
        others: further dialects of its own.
        aliases: other words for it that ``--target`` takes. A word that two targets have is asked back for.
        rules: reference to a tuple of `lwmport.targets.rules.rule.Rule`.
        checked_precision: what the rules are asked about if nothing is said: what its compiler does of itself.
        compiler: reference to ``compile_artifact(job, out)``: a `lwmport.targets.compile.vendor.Vendor`, or a function.
        makes: device that ``--soc`` names, or an empty text for all others -> how the files end that the compiler
            makes, such as ``.om``. Empty: it makes none that a runner takes.
        precision: what the compiler is asked to compute in if nothing is said.
        prepare: reference to a function of all jobs of one command, which returns them with what its compiler needs.
        chips: the devices that ``--soc`` names, by name.
        usual_chip: the one that rules and ports mean if none is named; empty if they mean none in particular.
        asks_chip: whether its compiler means none of itself, so that one has to be named for it.
        chip_parts: a pattern of what may follow the name of a chip, for a part of it.
        engines: reference to format -> what ``--soc`` names, for a target without chips.
        contenders: reference to ``contenders(form, integers=...)``: the ways in which it may run a model here
            (`lwmport.targets.contender.Contender`), the usual one first, for ``--fastest``.
        devices: what ``--soc`` names beside chips.
        options: those of `OPTIONS` that change something.
        quantises: whether its compiler quantises, and wants samples for it.
        public_names: whether its compiler knows inputs by the names that callers use, rather than by their tensors'.
        fixes: reference to a `lwmport.targets.fix.fixes.Fixes`; without one only what every target needs is mended.
        doctor: reference to a `lwmport.targets.doctor.doctor.Doctor`; without one a machine is checked for nothing.
        operator_lists: format -> reference to a `lwmport.targets.operators.OperatorList`.
        verify: the line that runs a bundle's models on the device; ``{runtime}`` is verify.py's name of the runtime,
            ``{models}`` one ``verify_model`` a component. Without one, outputs are read from files.
        verify_model: the words of ``verify`` for the component ``{name}``.
        by_hand: lines of a bundle's README on compiling by hand.
        residence: reference to the `lwmport.targets.residence.Residence` of its runtime.

    Raises:
        UsageError: a format, an option, a chip or a precision that there is not.
    """

    name: str
    title: str
    summary: str
    formats: Mapping[str, Dialect]
    rules: str
    compiler: str
    others: tuple[Dialect, ...] = ()
    aliases: tuple[str, ...] = ()
    checked_precision: str = "float32"
    makes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    precision: str = "float32"
    prepare: str = ""
    chips: Mapping[str, Chip] = field(default_factory=dict)
    usual_chip: str = ""
    asks_chip: bool = False
    chip_parts: str = ""
    engines: str = ""
    contenders: str = ""
    devices: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    quantises: bool = False
    public_names: bool = False
    fixes: str = ""
    doctor: str = ""
    operator_lists: Mapping[str, str] = field(default_factory=dict)
    verify: str = ""
    verify_model: str = ""
    by_hand: tuple[str, ...] = ()
    residence: str = "lwmport.targets.residence:PLAIN"

    def __post_init__(self) -> None:
        """Refuse a record that contradicts itself."""
        if not self.formats:
            raise UsageError(f"expected a dialect for at least one format of the target {self.name!r}, found none")
        for form, dialect in self.formats.items():
            if dialect.format != form:
                raise UsageError(f"expected a dialect of {form}, found {dialect.name!r} of {dialect.format}")
        for option in self.options:
            check_known("option", option, OPTIONS)
        check_known("checked_precision", self.checked_precision, FLOATS)
        if self.usual_chip:
            check_known(f"chip of {self.name}", self.usual_chip, self.chips)

    def dialects_of(self, form: str) -> tuple[str, ...]:
        """Return the names of the dialects in a format, the usual one first."""
        usual = (self.formats[form].name,) if form in self.formats else ()
        return (*usual, *(dialect.name for dialect in self.others if dialect.format == form))

    def chip(self, name: str) -> Chip | None:
        """Return the chip of a name, or the one that the name is a part of; None if there is none."""
        found = self.chips.get(name)
        return found or (self.chips.get(re.sub(f"(?:{self.chip_parts})$", "", name)) if self.chip_parts else None)

    def device_name(self, text: str) -> str:
        """Return the name of the device that a text means (`lwmport.registry.meant`); an unknown one as it is.

        A family that has one chip alone stands for that chip.

        Raises:
            UsageError: the text is the family of several chips.
        """
        kind = f"device of {self.name}"
        if self.engines:
            return meant(kind, text, dict.fromkeys(name for names in load(self.engines).values() for name in names))
        part = re.fullmatch(f"(.+?)({self.chip_parts})", text, re.IGNORECASE) if self.chip_parts else None
        if part and self.chip(base := meant(kind, part[1], self.chips)):
            return base + part[2].lower()
        families: dict[str, tuple[str, ...]] = {}
        for name, chip in self.chips.items():
            families[chip.family] = (*families.get(chip.family, ()), name)
        return meant(kind, text, self.chips, families)

    def made_of(self, form: str, soc: str | None = None) -> tuple[str, ...]:
        """Return how the files end that its compiler makes of a format for a device, the usual one if none is named.

        Nothing where the device runs the models as they are.
        """
        device = soc or (self.engine_names(form)[0] if self.engines else "")
        return self.makes.get(device, self.makes.get("", ()))

    def engine_names(self, form: str) -> tuple[str, ...]:
        """Return what ``--soc`` names for a format, the usual one first; nothing for a target with chips."""
        found: tuple[str, ...] = load(self.engines).get(form, ()) if self.engines else ()
        return found

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """Every dialect that a model can be written in for it, the usual ones first."""
        return (*self.formats.values(), *self.others)

    @property
    def rule_table(self) -> "tuple[Rule, ...]":
        """Its rules, in the order of their ids."""
        found: tuple[Rule, ...] = load(self.rules)
        return found

    @property
    def compile_artifact(self) -> Callable[..., Compilation]:
        """Its compiler: ``compile_artifact(job, out)``."""
        found: Callable[..., Compilation] = load(self.compiler)
        return found

    @property
    def fix_table(self) -> "Fixes":
        """How models are mended for it."""
        found: Fixes = load(self.fixes or "lwmport.targets.fix.fixes:NOTHING_OF_ITS_OWN")
        return found

    @property
    def machine_doctor(self) -> "Doctor | None":
        """What is looked at on a machine for it."""
        found: Doctor | None = load(self.doctor) if self.doctor else None
        return found

    def operator_list(self, form: str) -> "OperatorList | None":
        """Return the vendor's list of operators in a format, None where there is none."""
        found: OperatorList | None = load(self.operator_lists[form]) if form in self.operator_lists else None
        return found
