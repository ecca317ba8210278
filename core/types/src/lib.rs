//! Ids, limits, units and errors that every floor speaks of
