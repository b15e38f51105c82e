"""The command line and the local stack of the booking system; not shipped to Lambda."""
