"""Nouns: facts computed from the market, no choice made."""
