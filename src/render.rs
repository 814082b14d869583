//! Ways to show a plan.

pub(crate) mod diff;
pub(crate) mod planned;
pub(crate) mod sanitize;
pub(crate) mod sarif;
pub(crate) mod structured;
pub(crate) mod styles;
pub(crate) mod svg;
pub(crate) mod text;
pub(crate) mod timeline;
