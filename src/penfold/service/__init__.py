"""The composition root, the supervisor and its roles."""
