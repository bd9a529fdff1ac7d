"""IMAP sessions over the store: one file per group of commands."""
