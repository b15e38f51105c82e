"""The whole system on one machine: simulates in one process what AWS does around our functions."""
