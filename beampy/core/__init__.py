"""The runtime of one node: processes, signals, names and timers. It knows no sockets and no other node."""
