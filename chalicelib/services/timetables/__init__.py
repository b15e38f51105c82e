"""A Seller's timetable: series and facilities, and the sessions and slots that come of them."""
