"""The record of the family. It imports no JAX, so that `lwmport list` stays fast."""

from lwmport.models.spec import FamilySpec, PartSpec
from lwmport.types import Normalisation, Tolerance, Tolerances

MODEL = "tiny_classifier.model"
COLOURS = Normalisation(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
CLOSE = Tolerance(atol=1e-5, rtol=1e-5, why="Two layers: float32 lowerings of them agree to 1e-6.", min_sqnr_db=100.0)
BODY = PartSpec(name="tiny-body", summary="a picture to features", factory=f"{MODEL}:body", prefix="body/")
HEAD = PartSpec(
    name="tiny-head", summary="features to logits", factory=f"{MODEL}:head", rename={"dense/": "classifier/"}
)

FAMILY = FamilySpec(
    name="tiny-classifier",
    components=(BODY, HEAD),
    groups={"tiny": (BODY.name, HEAD.name)},
    configs=f"{MODEL}:CONFIGS",
    preprocessing={"pixels": COLOURS},
    words={"outputs/logits": "one number for each class; the largest is the answer"},
    tolerances=Tolerances(usual={"float32": CLOSE}),
)
