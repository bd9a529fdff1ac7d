"""Sans-IO protocol cores, server and client side: octets in, events out."""
