//! Winddown on a real cluster.
