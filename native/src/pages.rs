//! Advice to the operating system about memory. Advice is never needed for correctness.

/// Asks for huge pages behind the whole pages of `bytes`; does nothing where the system has none.
pub fn advise_huge(start: *mut u8, bytes: usize) {
    // SAFETY: the advice changes no content, and a refusal leaves the pages as they are.
    unsafe { advise(start, bytes, HUGE_PAGES) };
}

/// Gives the whole pages of `bytes` back to the system, where it takes them: they may read as zeros from then on.
pub fn release(start: *mut u8, bytes: usize) {
    // SAFETY: the caller is done with what the memory holds; the system maps it anew when it is touched.
    unsafe { advise(start, bytes, DONT_NEED) };
}

const HUGE_PAGES: std::ffi::c_int = 14;
const DONT_NEED: std::ffi::c_int = 4;

/// Advises on the pages that lie wholly inside a range.
///
/// # Safety
/// The range lies inside one allocation, and what the advice does to its content is wanted.
#[cfg(target_os = "linux")]
unsafe fn advise(start: *mut u8, bytes: usize, advice: std::ffi::c_int) {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
    }
    /// No page is larger on the systems we run on, and every smaller one divides it.
    const PAGE: usize = 64 * 1024;

    let pad = start.addr().wrapping_neg() % PAGE;
    let whole = bytes.saturating_sub(pad) / PAGE * PAGE;
    if whole > 0 {
        // SAFETY: the caller's promise.
        unsafe { madvise(start.wrapping_add(pad).cast(), whole, advice) };
    }
}

#[cfg(not(target_os = "linux"))]
unsafe fn advise(_start: *mut u8, _bytes: usize, _advice: std::ffi::c_int) {}
