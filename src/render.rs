//! The output formats.

#[cfg(feature = "cluster")]
pub(crate) mod age;
pub(crate) mod diff;
pub(crate) mod grid;
#[cfg(feature = "cluster")]
pub(crate) mod html;
pub(crate) mod sanitize;
pub(crate) mod sarif;
pub(crate) mod screen;
pub(crate) mod structured;
pub(crate) mod styles;
#[cfg(feature = "cluster")]
pub(crate) mod survey;
pub(crate) mod svg;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod timeline;
pub(crate) mod workload;
