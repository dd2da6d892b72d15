"""Bytes and signals: what two nodes say to each other, without any input or output. See PROTOCOL.md."""
