"""The wire, without I/O: messages, codecs, the handshake's rules and one peer's state.

Nothing here knows Django, an event loop, a clock or a socket; ``PROTOCOL.md`` is the contract.
"""
