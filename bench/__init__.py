"""Measurements and race tests. They run on one machine, so only ratios and pass or fail are meaningful."""
