"""Every doctor: that of any machine, those of the targets, and that of cards that are no target."""

from lwmport.targets.doctor import hardware, python
from lwmport.targets.doctor.cards import Card, cards_of
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.machine import Machine
from lwmport.targets.doctor.nvidia import NVIDIA
from lwmport.targets.registry import TARGETS

ANY_MACHINE = Doctor(checks=(*python.CHECKS, *hardware.CHECKS), libraries=python.LIBRARIES)


def doctors() -> tuple[Doctor, ...]:
    """Return every doctor, in the order in which their findings are told among equals."""
    own = (target.machine_doctor for target in TARGETS.values())
    return (ANY_MACHINE, *(doctor for doctor in own if doctor is not None), NVIDIA)


def cards(machine: Machine) -> tuple[Card, ...]:
    """Return the cards of all vendors, in the order in which their tools name them."""
    return tuple(card for doctor in doctors() for card in cards_of(machine, doctor.cards))
