"""The only room that opens sockets: drives protocol cores, resolves names, speaks between roles."""
