"""What the official OpenActive Test Suite needs to run against this system."""
