"""Cards, read from texts in the formats that the vendors' tools print."""

import pytest

from lwmport.targets.ascend.chips import CHIPS
from lwmport.targets.doctor.cards import Card
from lwmport.targets.doctor.doctors import cards, doctors
from lwmport.targets.doctor.machine import Machine, numbers

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

ASCEND_310 = """\
+------------------------------------------------------------------------------+
| npu-smi 21.0.3.1                     Version: 21.0.3.1                       |
+-------------------+-----------------+----------------------------------------+
| NPU     Name      | Health          | Power(W)          Temp(C)              |
| Chip    Device    | Bus-Id          | AICore(%)         Memory-Usage(MB)     |
+===================+=================+========================================+
| 0       310       | OK              | 12.8              58                   |
| 0       0         | NA              | 0                 5324 / 8192          |
+===================+=================+========================================+
| 1       310       | OK              | 12.8              61                   |
| 0       1         | NA              | 0                 621  / 8192          |
+===================+=================+========================================+
"""

ASCEND_A3 = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 25.2.0                   Version: 25.2.0                                               |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     Ascend910           | OK            | 178.5       36                0    / 0             |
| 0     0                   | 0000:9D:00.0  | 0           0    / 0          3416 / 65536         |
+------------------------------------------------------------------------------------------------+
| 0     Ascend910           | OK            | -           36                0    / 0             |
| 1     1                   | 0000:9F:00.0  | 0           0    / 0          3195 / 65536         |
+===========================+===============+====================================================+
"""

DCU_WITHOUT_MODE = """\
==========================System Management Interface ==========================
================================================================================
DCU  Temp   AvgPwr  Fan   Perf    PwrCap  VRAM%  DCU%
0    47.0c  58.0W   0.0%  manual  450.0W    0%   0%
1    30.0c  41.0W   0.0%  auto    280.0W    0%   3%
================================================================================
"""

DCU_ON_A_LOGIN_NODE = """\
============================ System Management Interface =============================
DCU     Temp     AvgPwr     Perf     PwrCap     VRAM%      DCU%      Mode
0       49.0C    25.0W      auto     300.0W     0%         0%        N/A
======================================================================================
"""

DCU_BY_ROCM_SMI = """\
HCU[0]\t\t: Card Series:\t\t K100_AI
HCU[0]\t\t: Card Vendor:\t\t Chengdu Haiguang IC Design Co., Ltd.
HCU[1]\t\t: Card Series:\t\t K100_AI
"""

MIB = 2**20


def seen(**said: str) -> list[Card]:
    return list(cards(Machine(said={name.replace("_", "-"): text for name, text in said.items()})))


def test_ascend_with_one_chip_a_card() -> None:
    first, second = seen(npu_smi=A2)
    assert (first.index, first.soc, first.memory, first.health) == (0, "Ascend910B3", 65536 * MIB, "OK")
    assert (second.index, second.health, second.driver) == (4, "Warning", "24.1.0")


def test_ascend_with_two_chips_a_card() -> None:
    found = seen(npu_smi=DUO)
    assert [(card.index, card.chip, card.soc, card.memory) for card in found] == [
        (1, 0, "Ascend310P3", 44280 * MIB),
        (1, 1, "Ascend310P3", 43693 * MIB),
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
        assert all(card.soc in CHIPS for card in seen(npu_smi=text))


GARBAGE = ("", "no devices were found", "| | |\n|", "\x00\xff", "GPU[x] : y", "1,2,3,4", A2[:700], DCU[:250])


@pytest.mark.parametrize("tool", [tool for doctor in doctors() for tool in doctor.cards])
@pytest.mark.parametrize("text", GARBAGE)
def test_other_texts_break_nothing(tool: str, text: str) -> None:
    assert all(isinstance(card, Card) for card in cards(Machine(said={tool: text})))


def test_each_tool_that_is_read_is_asked() -> None:
    assert all(set(doctor.cards) <= set(doctor.commands) for doctor in doctors())


def test_versions_are_numbers() -> None:
    assert numbers("8.5.0.RC1") == (8, 5, 0)
    assert numbers("2.13.0+cpu") == (2, 13, 0)
    assert numbers("unknown") == ()


def test_a_chip_whose_name_is_a_number() -> None:
    assert [(card.index, card.soc, card.memory) for card in seen(npu_smi=ASCEND_310)] == [
        (0, "Ascend310", 8192 * MIB),
        (1, "Ascend310", 8192 * MIB),
    ]


def test_two_chips_of_one_npu_with_physical_numbers() -> None:
    found = [(card.index, card.name, card.memory) for card in seen(npu_smi=ASCEND_A3)]
    assert found == [(0, "Ascend910", 65536 * MIB)] * 2


@pytest.mark.parametrize(("text", "count"), [(DCU_WITHOUT_MODE, 2), (DCU_ON_A_LOGIN_NODE, 1)])
def test_older_tables_of_dcus_say_nothing_bad_of_a_card(text: str, count: int) -> None:
    assert [card.health for card in seen(hy_smi=text)] == ["OK"] * count


def test_a_dcu_that_only_rocm_smi_tells_of() -> None:
    assert [(card.vendor, card.name, card.soc) for card in seen(rocm_smi=DCU_BY_ROCM_SMI)] == [
        ("Hygon", "K100_AI", "gfx928"),
        ("Hygon", "K100_AI", "gfx928"),
    ]
