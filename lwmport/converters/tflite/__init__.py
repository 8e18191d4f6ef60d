"""TFLite: a program becomes one flatbuffer of built-in operators, with the weights streamed behind it."""
