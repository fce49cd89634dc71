"""Verbs: each module makes one decision."""
