"""The second route to ONNX: through a SavedModel and tf2onnx, to hold the direct one against."""
