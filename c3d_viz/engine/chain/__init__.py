"""The chain engine."""
