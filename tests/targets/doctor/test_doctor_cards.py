"""Cards, read from texts in the formats that the vendors' tools print."""

import pytest

from lwmport.targets.chips import CHIPS
from lwmport.targets.doctor.cards import PARSERS, Card, cards
from lwmport.targets.doctor.machine import COMMANDS, Machine, numbers

A2 = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.0                   Version: 24.1.0                                               |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B3               | OK            | 93.6        40                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3161 / 65536         |
+===========================+===============+====================================================+
| 4     910B3               | Warning       | 95.1        41                0    / 0             |
| 0                         | 0000:81:00.0  | 7           0    / 0          53984/ 65536         |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| 4       0                 | 1712733       | python                   | 48954                   |
+===========================+===============+====================================================+
"""

DUO = """\
+--------------------------------------------------------------------------------------------------------+
| npu-smi 23.0.0                                   Version: 23.0.0                                       |
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 1       310P3                 | OK              | NA           45                0     / 0             |
| 0       0                     | 0000:03:00.0    | 0            1693 / 44280                            |
+-------------------------------+-----------------+------------------------------------------------------+
| 1       310P3                 | OK              | NA           46                0     / 0             |
| 1       1                     | 0000:03:00.0    | 0            1371 / 43693                            |
+===============================+=================+======================================================+
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Chip                  | Process id      | Process name             | Process memory(MB)        |
+===============================+=================+======================================================+
| No running processes found in NPU 1                                                                    |
+===============================+=================+======================================================+
"""

DCU = """\
================================= System Management Interface ==================================
================================================================================================
HCU     Temp     AvgPwr     Perf     PwrCap     VRAM%      HCU%      Dec%      Enc%      Mode
0       50.0C    80.0W      auto     1000.0W    0%         0.0%      0.0%      0.0%      Normal
1       51.0C    82.0W      auto     1000.0W    3%         7.0%      0.0%      0.0%      Abnormal
================================================================================================
======================================== End of SMI Log ========================================
"""

DCU_NAMES = """\
================================= System Management Interface ==================================
HCU[0]          : Card series: BW1000
HCU[1]          : Card series: K100_AI
======================================== End of SMI Log ========================================
"""

AMD = """\
============================ ROCm System Management Interface ============================
====================================== Product Info ======================================
GPU[0]\t\t: Card Series: \t\tAMD Instinct MI300X OAM
GPU[0]\t\t: Card Model: \t\t0x74a1
GPU[0]\t\t: GFX Version: \t\tgfx942
GPU[1]\t\t: Card Series: \t\tAMD Instinct MI300X OAM
GPU[1]\t\t: GFX Version: \t\tgfx942
==========================================================================================
================================== End of ROCm SMI Log ===================================
"""

NVIDIA = "NVIDIA H100 80GB HBM3, 81559 MiB, 550.54.15\nNVIDIA H100 80GB HBM3, [N/A], 550.54.15\n"

MIB = 2**20


def seen(**said: str) -> list[Card]:
    return list(cards(Machine(said={name.replace("_", "-"): text for name, text in said.items()})))


def test_ascend_with_one_chip_a_card() -> None:
    first, second = seen(npu_smi=A2)
    assert (first.index, first.soc, first.memory, first.health) == (0, "Ascend910B3", 65536 * MIB, "OK")
    assert (second.index, second.health, second.driver) == (4, "Warning", "24.1.0")


def test_ascend_with_two_chips_a_card() -> None:
    found = seen(npu_smi=DUO)
    assert [(card.index, card.soc, card.memory) for card in found] == [
        (1, "Ascend310P3", 44280 * MIB),
        (1, "Ascend310P3", 43693 * MIB),
    ]


def test_dcu_with_and_without_names() -> None:
    machine = Machine(said={"hy-smi": DCU, "hy-smi names": DCU_NAMES, "rocm-smi": AMD})
    assert [(card.name, card.soc, card.health) for card in cards(machine)] == [
        ("BW1000", "gfx936", "OK"),
        ("K100_AI", "gfx928", "Abnormal"),
    ]
    assert [card.name for card in seen(hy_smi=DCU)] == ["DCU", "DCU"]


def test_amd() -> None:
    assert [(card.index, card.name, card.soc) for card in seen(rocm_smi=AMD)] == [
        (0, "AMD Instinct MI300X OAM", "gfx942"),
        (1, "AMD Instinct MI300X OAM", "gfx942"),
    ]


def test_nvidia() -> None:
    first, second = seen(nvidia_smi=NVIDIA)
    assert (first.name, first.memory, first.driver) == ("NVIDIA H100 80GB HBM3", 81559 * MIB, "550.54.15")
    assert second.memory is None


def test_known_cards_are_known_to_the_compilers() -> None:
    for text in (A2, DUO):
        assert all(card.soc in CHIPS["ascend"] for card in seen(npu_smi=text))


GARBAGE = ("", "no devices were found", "| | |\n|", "\x00\xff", "GPU[x] : y", "1,2,3,4", A2[:700], DCU[:250])


@pytest.mark.parametrize("tool", PARSERS)
@pytest.mark.parametrize("text", GARBAGE)
def test_other_texts_break_nothing(tool: str, text: str) -> None:
    assert all(isinstance(card, Card) for card in cards(Machine(said={tool: text})))


def test_each_tool_that_is_read_is_asked() -> None:
    assert set(PARSERS) <= set(COMMANDS)


def test_versions_are_numbers() -> None:
    assert numbers("8.5.0.RC1") == (8, 5, 0)
    assert numbers("2.13.0+cpu") == (2, 13, 0)
    assert numbers("unknown") == ()
