//! The timeline of a pod's shutdown, drawn.

pub(crate) mod ascii;
pub(crate) mod labels;
pub(crate) mod layout;
