"""One converter a format; each lowers the same traced program."""
