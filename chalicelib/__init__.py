"""What Lambda runs: the Open Booking API server."""
