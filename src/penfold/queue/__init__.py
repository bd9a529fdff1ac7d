"""Custody of accepted mail, from the reply that accepts it to its delivery, bounce or expiry."""
