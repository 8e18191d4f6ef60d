"""Of what Compass's tools print, the error that decides is quoted, with what to do."""

import pytest

from lwmport.targets.aipu.compile import judge
from lwmport.targets.compile.plan import Run, Step

STEP = Step(name="aipuparse", tools=("aipuparse",), options=())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("[E] [Parser]: Meets invalid Conv/ConvTranspose Op(y) in rename_conv!\n", "weights have to be constants"),
        ("[E] [Parser]: Meets invalid ConvTranspose (Y) in split_conv_transpose!\n", "weights have to be constants"),
        ("[E] [Parser]: Got invalid output shape for Node(y)!\n", "a shape follows from values that are computed"),
        ("[E] [Parser]: Writing Size op(y) that is not supported in serialize!\n", "an operator has no form"),
        (
            "[E] [Parser]: Cast Op (y) with dtype (int4) that cannot be converted in rename_cast!\n",
            "does not have this dtype",
        ),
        ("[W] [Parser]: Infer of Mul Node(3) meets issues: no shape!\n[I] 0 error(s)\n", "went on without this shape"),
    ],
)
def test_an_error_is_quoted_with_what_to_do(said: str, expected: str) -> None:
    found = judge(Run(step=STEP, code=255 if "[E]" in said else 0, said=said))
    assert found.startswith(said[:20])
    assert expected in found


def test_the_first_error_is_quoted_where_nothing_is_known_of_it() -> None:
    said = "[W] [Parser]: a warning\n[E] [Parser]: Something new!\n[E] [Parser]: Parser failed!\n"
    assert judge(Run(step=STEP, code=255, said=said)) == "[E] [Parser]: Something new!"
