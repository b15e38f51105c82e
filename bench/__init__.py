"""Measurements and races. They run on one machine, so what they say is a ratio or a verdict."""
