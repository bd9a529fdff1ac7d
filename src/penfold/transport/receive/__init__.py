"""Receiving: SMTP, submission and LMTP sessions."""
