"""Sessions of those who read mail: what they ask goes to the store, what the store shows goes to them."""
