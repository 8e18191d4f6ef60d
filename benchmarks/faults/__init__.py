"""Faults for converted models: `KINDS` names them, `plant` changes a file in place and says where."""

from faults.kinds import KINDS
from faults.place import Kind, Planted
from faults.planting import plant

__all__ = ["KINDS", "Kind", "Planted", "plant"]
