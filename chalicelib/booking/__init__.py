"""The stages of a booking as functions: (request, snapshot, ...) -> Decision. Decides; touches nothing."""
