"""Golden samples and calibration data: all different, in the artifact's dtypes, with what does not count left out."""

from dataclasses import replace

import numpy as np

from lwmport.checkpoints.model_weights import component_weights, fitting
from lwmport.models.families import resolve
from lwmport.models.llama.test_inputs import CASES
from lwmport.pipeline.bundle.samples import Golden, observed, take
from lwmport.pipeline.validate.test_inputs import SYMMETRIES, pictures, title_of
from lwmport.types import Signature, TensorSpec
from lwmport.validators.pictures import PHOTOGRAPHS

PICTURE = TensorSpec(name="x", shape=("batch", 16, 16, 3), dtype="float32", layout="NHWC")


def test_every_photograph_gives_eightpictures() -> None:
    items = range(len(PHOTOGRAPHS) * SYMMETRIES)
    found = pictures(PICTURE, items)
    assert len({picture.tobytes() for picture in found}) == len(items)
    assert len({title_of(item) for item in items}) == len(items)
    assert np.array_equal(found[0], pictures(PICTURE, range(len(items), len(items) + 1))[0])
    assert title_of(len(PHOTOGRAPHS) * 7) == "astronaut turned by 270 degrees mirrored"


def test_the_range_of_a_tensor_is_that_of_what_counts_in_all_samples() -> None:
    def golden(values: list[float], counts: list[bool]) -> Golden:
        return Golden(
            title="",
            inputs={"x": np.asarray(values, np.float16), "past": np.zeros((0, 4), np.float32)},
            outputs={"y": 2 * np.asarray(values, np.float32)},
            relevant={} if all(counts) else {"y": np.asarray(counts)},
            quantized={},
        )

    found = observed([golden([1, -7, 3], [True, False, True]), golden([np.inf, 5, 0], [True, True, True])])
    assert found == {"inputs/x": (-7, 5), "outputs/y": (0, 10)}


def narrowed(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return tuple(replace(spec, dtype="float16" if spec.dtype == "float32" else spec.dtype) for spec in specs)


def test_language_components_get_seeded_inputs_and_leave_padding_out() -> None:
    family = resolve("llama-block", "debug")
    (component,) = family.references
    weights = component_weights(family, component, fitting(family, None, 0))
    wide = component.signature
    signature = Signature(inputs=narrowed(wide.inputs), outputs=narrowed(wide.outputs))
    found = take(component, weights, signature, 2, (len(CASES), 1))
    runs = [sample.inputs for sample in found.golden] + list(found.calibration)
    assert len({run["hidden_states"].tobytes() for run in runs}) == len(CASES) + 1
    assert [bool(sample.relevant) for sample in found.golden] == [case.padded for case in CASES]
    assert found.credits == ()
    for sample in found.golden:
        assert {name: array.dtype.name for name, array in sample.inputs.items()} == {
            spec.name: spec.dtype for spec in signature.inputs
        }
        assert set(sample.relevant) <= set(sample.outputs)
        for name, mask in sample.relevant.items():
            assert not np.where(mask, 0, sample.outputs[name]).any()
            assert sample.outputs[name].any()
            assert sample.outputs[name].dtype == np.float16
