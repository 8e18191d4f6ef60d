"""A converted model run by a ring of processes, here or on several machines."""
