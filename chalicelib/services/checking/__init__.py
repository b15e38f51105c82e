"""Check that the rows of a running system agree with each other, and repair what is safe to repair."""
