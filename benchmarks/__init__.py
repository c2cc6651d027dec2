"""Measurements. `make bench` runs the one that the README shows; docs/explanation/performance.md says what they mean."""
