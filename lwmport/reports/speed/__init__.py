"""The files of a measurement of speed."""
