"""Reports for one Seller: what was booked, how full sessions are, and whether payments agree."""
