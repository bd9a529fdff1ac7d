"""Admission policy: relay rule, limits, rates."""
