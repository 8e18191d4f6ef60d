"""What a component is fed is a row of the table that it looks into: words, codes, positions, in every part and form."""

from collections.abc import Iterator

import numpy as np
import pytest

from lwmport.errors import RunnerError
from lwmport.models.families import PARTS, resolve
from lwmport.models.llama.test_inputs import INPUTS
from lwmport.models.options import Options
from lwmport.pipeline.validate.test_inputs import UsualInputs
from lwmport.runtime.inputs import check_inputs
from lwmport.targets.compile.samples import samples
from lwmport.types import Component

SETTINGS = ("max_sequence_length=64", "vocab_size=300", "vision_vocab_size=40")


def components() -> Iterator[tuple[str, str | None, int | None]]:
    for name, part in PARTS.items():
        modes = ("text", "vision", "all") if "sample_mode" in part.options and name.startswith("vision") else (None,)
        for mode in modes:
            for sequence in (None, 1, 4) if "sequence" in part.options else (None,):
                yield name, mode, sequence


def made(name: str, mode: str | None, sequence: int | None) -> Component:
    known = SETTINGS if name.startswith("vision") else SETTINGS[:2] if "llama" in name or "ring" in name else ()
    lengths = {"max_length": 32} if "max_length" in PARTS[name].options else {}
    asked = Options(settings=known, sample_mode=mode, sequence=sequence, **lengths)
    (component,) = resolve(name, "debug", asked).references
    return component


@pytest.mark.parametrize(("name", "mode", "sequence"), list(components()))
def test_samples_are_rows_of_their_tables(name: str, mode: str | None, sequence: int | None) -> None:
    component = made(name, mode, sequence)
    specs = component.signature.inputs
    maker = UsualInputs({}) if component.family == "vqgan" else INPUTS
    for batch in (1, 2):
        for number in range(2):
            for case in maker.cases(component):
                check_inputs_of(component, maker.make(component, batch, number, case).inputs)
        check_inputs_of(component, samples(specs, {"batch": batch}))


def check_inputs_of(component: Component, inputs: dict[str, np.ndarray]) -> None:
    sized = {
        name: array.astype(spec.dtype)
        for spec in component.signature.inputs
        for name, array in inputs.items()
        if name == spec.name
    }
    check_inputs(component.signature.inputs, sized)
    if "vision_masks" in sized and component.signature.inputs[0].tables:
        codes = sized["vision_masks"] != 0
        assert np.all(sized["input_ids"][codes] < 40)
        assert np.all(sized["input_ids"][~codes] < 300)


def test_a_word_among_the_codes_is_refused_in_one_line() -> None:
    component = made("vision-llama", None, None)
    inputs = INPUTS.make(component, 1, 0, "prefill").inputs
    masks = np.ones_like(inputs["vision_masks"])
    ids = np.full_like(inputs["input_ids"], 39)
    check_inputs(component.signature.inputs, {**inputs, "vision_masks": masks, "input_ids": ids})
    ids[0, 2] = 299
    with pytest.raises(
        RunnerError, match=r"expected input_ids below 40 where vision_masks is True, found 299 at \[0, 2\]"
    ):
        check_inputs(component.signature.inputs, {**inputs, "vision_masks": masks, "input_ids": ids})
