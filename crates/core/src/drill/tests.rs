//! Which pod is evicted, what is shown of its stop, and whether it honoured its promise.

mod choice;
mod progress;
mod verdict;
