"""Writers: one module a format, each a stream of tensors."""
