"""Who is calling, and for which Seller."""
