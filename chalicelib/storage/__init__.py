"""The only room that imports pynamodb: rows, snapshot reads, and one commit as one transaction."""
