"""Whether the rows of a running system agree with each other, and putting right what is safe to."""
