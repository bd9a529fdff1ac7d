"""Mailbox formats on disk: mbox, MMDF, MH, Maildir."""
