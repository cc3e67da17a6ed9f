//! Memory that is free goes back to the system, between two steps that take much of it.
//!
//! glibc keeps what was given back to it in pieces of any size below 32 MiB, for whoever asks for pieces of that size again; the next step asks for others,
//! and a process comes to have half as much again as it uses.

/// Gives back what is free. Takes milliseconds.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "nothing else reaches the allocator")]
pub(super) fn trim() {
    // SAFETY: It may be called at any time, from any thread, and touches what is free alone.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators are left alone.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn trim() {}
