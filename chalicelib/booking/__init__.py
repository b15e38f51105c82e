"""The stages of a booking as functions: (request, snapshot, ...) -> Decision. No side effects."""
