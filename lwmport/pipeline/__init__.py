"""The flow, one call per arrow: checkpoint, program, artifact, validation, report.

The public part of this package is what `lwmport` itself exports: the functions, their requests and their outcomes.
Every other name here, and in the rooms below, may change from one release to the next.
"""
