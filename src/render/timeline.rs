//! The timeline of a pod's shutdown: the parts that the text and the SVG share, and the drawing for text.

pub(crate) mod ascii;
pub(crate) mod labels;
pub(crate) mod layout;
