//! What the services need of the world, as traits with a contract suite each
