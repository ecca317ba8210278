//! REST over the services' contracts
