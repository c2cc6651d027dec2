"""Verification of a database: events, chains, tree, checkpoints and witnesses, each computed again outside of it."""
