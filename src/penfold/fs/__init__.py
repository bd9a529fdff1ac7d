"""The safe file system: exclusive create, no-symlink open, durable names, locks; a recording driver for crash tests."""
