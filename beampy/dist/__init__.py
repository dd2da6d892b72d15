"""The shells that own sockets: connections, the name service, encryption, and the table of peers."""
