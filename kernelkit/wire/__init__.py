"""How processes talk: messages, their framing, and where the socket lies."""
