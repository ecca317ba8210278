//! The per-core loop: accept, receive, send queues, timers, mailboxes, TLS
