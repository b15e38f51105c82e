"""Stream record -> feed row -> feed page."""
