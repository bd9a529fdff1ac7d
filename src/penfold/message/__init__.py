"""Message content: header fields, MIME structure, trace, delivery status notifications."""
