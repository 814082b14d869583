//! What the fuzz targets share: how an input is read, how it is changed, and the laws that hold whatever it says.

#![forbid(unsafe_code)]

pub mod defaults;
pub mod dice;
pub mod document;
pub mod laws;
pub mod mutation;
