//! Accounts, sessions and tokens
