"""The record of the family. It imports no JAX, so that `lwmport list` stays fast."""

from lwmport.models.spec import FamilySpec, PartSpec
from lwmport.types import Normalisation, Tolerance, Tolerances

PREPROCESSING = Normalisation(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
CLOSE = Tolerance(atol=1e-5, rtol=1e-5, why="Two layers: float32 lowerings of them agree to 1e-6.", min_sqnr_db=100.0)

FAMILY = FamilySpec(
    name="tiny-classifier",
    components=(
        PartSpec(
            name="tiny-body", summary="a picture to features", factory="tiny_classifier.model:body", prefix="body/"
        ),
        PartSpec(
            name="tiny-head",
            summary="features to logits",
            factory="tiny_classifier.model:head",
            rename={"dense/": "classifier/"},
        ),
    ),
    groups={"tiny": ("tiny-body", "tiny-head")},
    configs="tiny_classifier.model:CONFIGS",
    usual="small",
    preprocessing={"pixels": PREPROCESSING},
    words={"outputs/logits": "one number for each class; the largest is the answer"},
    tolerances=Tolerances(usual={"float32": CLOSE}),
)
