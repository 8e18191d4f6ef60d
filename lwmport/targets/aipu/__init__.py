"""Arm China's Zhouyi NPUs, compiled for by Compass."""
