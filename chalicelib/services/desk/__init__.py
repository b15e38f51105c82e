"""What the people of one Seller do at a desk: look at sessions and bookings, change them, and sell."""
