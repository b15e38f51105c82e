"""Chalice blueprints. A view authenticates, parses, calls one function, renders."""
