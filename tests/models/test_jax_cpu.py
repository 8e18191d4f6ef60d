"""The reference gives the same bits whatever the number of processors is."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, os, sys
os.sched_setaffinity(0, {int(cpu) for cpu in sys.argv[1].split(",")})
import numpy as np
from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.models.options import Options
from lwmport.runtime.runners.jax import reference

family, weights = open_model("vqgan-decoder", None, "debug", Options(), 0)
(component,) = family.references
codes = np.random.default_rng(0).integers(0, 512, (1, 16, 16)).astype(np.int32)
spec = component.signature.inputs[0]
given = {spec.name: codes.reshape(-1)[: int(np.prod(spec.shape[1:]))].reshape(1, *spec.shape[1:]) % 64}
found = reference(component, component_weights(family, component, weights)).run(given)
print(hashlib.sha256(b"".join(found[name].tobytes() for name in sorted(found))).hexdigest())
print("NPROC" in os.environ)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen here")
def test_one_processor_gives_the_bits_of_two() -> None:
    free = sorted(os.sched_getaffinity(0))[:2]
    if len(free) < 2:
        pytest.skip("there is one processor")
    usual = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}  # optimized, as a user runs it
    found = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, cpus], capture_output=True, text=True, check=True, timeout=120, env=usual
        ).stdout
        for cpus in (str(free[0]), ",".join(map(str, free)))
    ]
    assert found[0] == found[1], found
    assert found[0].splitlines()[1] == "False"
