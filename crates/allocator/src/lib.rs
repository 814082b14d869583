//! Settings of glibc's allocator, so that memory returns to the system after a flood of requests.
//!
//! By default glibc creates up to eight arenas for each CPU, and keeps in each what a large review needed: 210 MiB stayed
//! resident after a flood. With other C libraries both functions do nothing.

/// Limits the number of arenas. Call it before the first thread is started.
pub fn limit_arenas() {
    glibc::limit_arenas();
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
    /// One more for the threads of large reviews than the main arena.
    const ARENAS: c_int = 2;

    // Both are safe to call from any thread at any time: mallopt(3), malloc_trim(3).
    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
        safe fn malloc_trim(pad: usize) -> c_int;
    }

    pub(crate) fn limit_arenas() {
        mallopt(M_ARENA_MAX, ARENAS);
    }

    pub(crate) fn trim() {
        malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod glibc {
    pub(crate) fn limit_arenas() {}

    pub(crate) fn trim() {}
}
