"""Opportunities for tests: what each criterion needs, and a sandbox that is kept filled with all of them.

Never used in production. The Test Interface builds its Opportunities here too.
"""
