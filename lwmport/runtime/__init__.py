"""Runners: every runtime, on this CPU or on a device, behind one protocol (`lwmport.types.Runner`)."""
