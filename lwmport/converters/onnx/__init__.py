"""ONNX, through onnx-ir, with weights streamed into external data."""
