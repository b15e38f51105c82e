"""Imports an operator's published data into the inventory."""
