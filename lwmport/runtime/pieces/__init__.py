"""Model files as operators, any few of which can be run on given values."""
