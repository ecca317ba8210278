//! Sockets, websocket and session put together; the shard's topic index and fan-out
