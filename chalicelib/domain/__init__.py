"""What is true of a booking. Pure: no clock, no ids, no logging, no AWS."""
