//! Which pod is evicted, what is shown of its stop, and whether it kept its promise.

mod choice;
mod progress;
mod verdict;
