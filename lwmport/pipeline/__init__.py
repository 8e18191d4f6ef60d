"""The flow, one call per arrow: checkpoint, program, artifact, validation, report."""
