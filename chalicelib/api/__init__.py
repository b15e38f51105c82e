"""Chalice blueprints. A view authenticates, parses, calls one service, renders."""
