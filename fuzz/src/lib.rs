//! Shared by the fuzz targets: parsing, mutation, and invariants that hold for every input.

#![forbid(unsafe_code)]

pub mod defaults;
pub mod dice;
pub mod document;
pub mod laws;
pub mod mutation;
