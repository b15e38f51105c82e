"""A sample inventory of two sellers, for the local stack and for tests."""
