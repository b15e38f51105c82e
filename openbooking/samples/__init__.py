"""A sample inventory of two Sellers, for the local stack and for tests."""
