"""What a bundle says of itself: ``bundle.json``, every file with its digest, and ``spec.json``, every tensor.

The verifier inside the bundle (`lwmport.handoff.standalone`) reads the same two files with numpy alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lwmport import digest, plain
from lwmport.errors import ArtifactError
from lwmport.manifest import FileEntry
from lwmport.types import ADDED, Normalisation, Resizing, TensorSpec, Tolerance

FORMAT: Final = "lwmport-bundle/1"
SPEC_FORMAT: Final = "lwmport-spec/3"
NAME: Final = "bundle.json"
SPEC_NAME: Final = "spec.json"
CHECKER: Final = "verify.py"
SEAL: Final = "seal"


@dataclass(frozen=True, kw_only=True)
class ArrayFile:
    """One array as numpy writes it, in C order and little-endian; ``verify.py --raw`` makes a raw file of it."""

    npy: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: what goes in, what the reference makes of it, and where an output counts (everywhere, if not told).

    ``vectors`` are those that were quantized, by the output of indices.
    """

    name: str
    title: str
    inputs: Mapping[str, ArrayFile]
    outputs: Mapping[str, ArrayFile]
    relevant: Mapping[str, ArrayFile]
    vectors: Mapping[str, ArrayFile]


@dataclass(frozen=True, kw_only=True)
class Codes:
    """The codebook [codes, dimension] of an output of indices, and the output ``states`` that holds the codes."""

    states: str
    codebook: ArrayFile


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How an 8-bit picture becomes an input, ``(value - mean) * scale``, and an output becomes one again."""

    mean: float
    scale: float
    channels: str


@dataclass(frozen=True, kw_only=True)
class Processing:
    """What happens to a tensor outside the model: the steps in words, and the numbers where it is a picture.

    The numbers are in ``scaling`` where all channels have the same, else in ``normalisation``; there are none where the
    model takes bytes. ``resizing`` is what happens to a picture before.
    """

    steps: tuple[str, ...]
    scaling: Scaling | None
    normalisation: Normalisation | None = field(default=None, metadata=ADDED)
    resizing: Resizing | None = field(default=None, metadata=ADDED)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Inputs for a quantizer, of ``count`` runs: one .npy [count, ...] for each input.

    There are no files where the compiler's own file of samples, in ``compile/``, holds them.
    """

    count: int
    stacked: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ComponentSpec:
    """One model: its file, its tensors, what surrounds it, how it is judged.

    ``tolerances`` go by output and then by what the device computes in; ``precision`` is the artifact's own.
    ``observed`` is the least and the largest value in the samples, by ``inputs/NAME`` and ``outputs/NAME``; ``codes``
    go by the output of indices.
    """

    name: str
    model: str
    format: str
    precision: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    processing: Mapping[str, Processing]
    observed: Mapping[str, tuple[float, float]]
    tolerances: Mapping[str, Mapping[str, Tolerance]]
    codes: Mapping[str, Codes]
    samples: tuple[Sample, ...]
    calibration: Calibration


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Every model of a bundle."""

    format: str
    target: str
    reference: str
    weights: str
    components: tuple[ComponentSpec, ...]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Every file but this record, in the order of the zip, with its digest."""

    format: str
    lwmport: str
    target: str
    manifest_sha256: str
    files: tuple[FileEntry, ...]


def seal(bundle: Bundle) -> bytes:
    """Return ``bundle.json``: the record and, as ``seal``, the SHA-256 of its canonical JSON."""
    value = plain.encode(bundle)
    return text({**value, SEAL: digest.of_json(value)})


def unseal(content: bytes, where: str) -> Bundle:
    """Return the record that ``bundle.json`` holds.

    Raises:
        ArtifactError: it is not as `seal` wrote it.
    """
    value = parse(content, where)
    claimed = value.pop(SEAL, None)
    bundle = plain.decode(Bundle, value, where)
    if bundle.format != FORMAT:
        raise ArtifactError(f"{where}: expected the format {FORMAT}, found {bundle.format!r}")
    if claimed != digest.of_json(value) or seal(bundle) != content:
        raise ArtifactError(f"{where}: expected it as it was written, found its seal broken")
    return bundle


def read_spec(content: bytes, where: str) -> Spec:
    """Return the record that ``spec.json`` holds.

    Raises:
        ArtifactError: it is damaged.
    """
    spec = plain.decode(Spec, parse(content, where), where)
    if spec.format != SPEC_FORMAT:
        raise ArtifactError(f"{where}: expected the format {SPEC_FORMAT}, found {spec.format!r}")
    return spec


def parse(content: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ArtifactError: it is none.
    """
    try:
        value = plain.parsed(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where}: expected JSON, found damage: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{where}: expected an object, found {type(value).__name__}")
    return value


def text(value: Any) -> bytes:
    """Return a JSON document as it stands in a bundle."""
    return json.dumps(value, indent=1, allow_nan=False).encode("ascii") + b"\n"
