"""Values and rules of a booking. Pure: no clock, no ids, no logging, no AWS."""
