"""The whole system on one machine: what AWS does around our functions, imitated in one process."""
