"""The OpenActive Test Interface: creates Opportunities for criteria, and runs Seller's actions on request (TESTIF).

For tests only: it is not loaded if the setting TEST_INTERFACE is off (TESTIF-07).
"""
