"""The transport agent: receiving, dispatching, and the ways out."""
