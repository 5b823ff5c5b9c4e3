//! Advice to the operating system about memory. Advice is never needed for correctness.

/// Asks for huge pages behind the whole pages of `bytes`; does nothing where the system has none.
#[cfg(target_os = "linux")]
pub fn advise_huge(start: *mut u8, bytes: usize) {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
    }
    const HUGE_PAGES: c_int = 14;
    /// No page is larger on the systems we run on, and every smaller one divides it.
    const PAGE: usize = 64 * 1024;

    let pad = start.addr().wrapping_neg() % PAGE;
    let whole = bytes.saturating_sub(pad) / PAGE * PAGE;
    if whole > 0 {
        // SAFETY: the range lies inside the view. The advice changes no content, and a refusal
        // leaves the pages as they are.
        unsafe { madvise(start.wrapping_add(pad).cast(), whole, HUGE_PAGES) };
    }
}

/// Asks for huge pages behind the whole pages of `bytes`; does nothing where the system has none.
#[cfg(not(target_os = "linux"))]
pub fn advise_huge(_start: *mut u8, _bytes: usize) {}
