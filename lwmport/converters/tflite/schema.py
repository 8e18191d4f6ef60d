"""TFLite's schema as flatc's Python classes, which ai-edge-litert ships, and the builder that they write with."""

from typing import Any, Final

from lwmport import extras

flatbuffers: Final[Any] = extras.require("flatbuffers")
extras.require("ai_edge_litert")
schema: Final[Any] = extras.require("ai_edge_litert.schema_py_generated")
