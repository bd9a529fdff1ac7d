"""IMAP4rev1 and IMAP4rev2, the server's side, without I/O: octets in, events out; answers in, octets out."""
