//! The load tool: open-loop agents, latency histograms and a checker
