"""What a target looks at on a machine, and what it makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lwmport.targets.doctor.cards import Parsers
from lwmport.targets.doctor.check import Check


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """The checks of one target, and what they need to know of a machine.

    Attributes:
        checks: in the order in which their findings are told among equals.
        signs: files (from ``/``) or tools, one of which says that the machine is meant for the target.
        tools: executables that are looked for on the path.
        commands: name -> the words with which a card's own tool is asked.
        cards: the same names -> what reads the cards out of the answers.
        folders: where these tools and executables lie besides the path: a shell without the vendor's script lacks it.
        libraries: libraries of which it matters whether the loader finds them.
        places: paths that are looked for.
        variables: environment variables with the folder of the vendor's tools.
        homes: folders where these are usually installed.
        versions: patterns of files below such folders whose text tells a version.
        parts: patterns of files below the folder of a variable whose names tell what is installed.
    """

    checks: tuple[Check, ...] = ()
    signs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cards: Parsers = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
