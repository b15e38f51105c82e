"""Use cases: read a snapshot, decide, commit, retry; and work that continues later."""
