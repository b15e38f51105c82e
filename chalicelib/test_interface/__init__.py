"""The OpenActive Test Interface: Opportunities made to measure, and a Seller's actions on demand (TESTIF).

For tests only: nothing of it is loaded where the setting TEST_INTERFACE is off (TESTIF-07).
"""
