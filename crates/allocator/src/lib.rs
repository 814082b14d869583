//! Settings of glibc's allocator, so that memory returns to the system after a flood of requests.
//!
//! By default glibc creates up to eight arenas for each CPU, and keeps in each what a large review needed: 210 MiB stayed
//! resident after a flood. It also keeps up to 64 MiB of unused memory at the end of an arena, once a large block was freed,
//! and [`trim`] returns that only for the main arena: 17 MiB stayed. So there is only the main arena. With other C libraries both
//! functions do nothing.

/// Limits what glibc keeps. Call it before the first thread is started.
pub fn limit_unused_memory() {
    glibc::limit_unused_memory();
}

/// Returns unused memory to the system. Takes up to some milliseconds.
pub fn trim() {
    glibc::trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// `malloc.h`: the maximum number of arenas.
    const M_ARENA_MAX: c_int = -8;
    /// Only the main arena: the end of another one is not returned.
    const ARENAS: c_int = 1;
    /// `malloc.h`: the unused bytes at the end of an arena above which they are returned. A fixed value is not raised by glibc.
    const M_TRIM_THRESHOLD: c_int = -1;
    /// More than an ordinary review needs, so that its memory is not returned and requested again.
    const UNUSED: c_int = 1024 * 1024;

    // Both are safe to call from any thread at any time: mallopt(3), malloc_trim(3).
    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
        safe fn malloc_trim(pad: usize) -> c_int;
    }

    pub(crate) fn limit_unused_memory() {
        mallopt(M_ARENA_MAX, ARENAS);
        mallopt(M_TRIM_THRESHOLD, UNUSED);
    }

    pub(crate) fn trim() {
        malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod glibc {
    pub(crate) fn limit_unused_memory() {}

    pub(crate) fn trim() {}
}
