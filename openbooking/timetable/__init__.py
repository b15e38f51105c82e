"""Timetables of Sellers as files: reading and checking them, and what they become in the inventory."""
