"""Use cases: read a snapshot, decide, commit, retry; and what has to continue later."""
