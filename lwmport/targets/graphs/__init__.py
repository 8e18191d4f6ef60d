"""Readers of model files for checking: any ONNX, TFLite or frozen graph, none of whose weights is loaded."""
