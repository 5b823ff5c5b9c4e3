//! Hints that memory will be read soon. They change no result and fault on no address.

/// Cache levels that a line is asked into.
const FIRST: u8 = 1;
const SECOND: u8 = 2;

/// Asks for the cache line at `address`.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    prefetch_into::<FIRST>(address);
}

/// Asks for the first line after the 4 KiB page of `address`. Within a page the hardware's own
/// prefetch is better than ours; it stops at the end, and this line starts it on the next.
#[inline(always)]
pub fn prefetch_page_after(address: *const u8) {
    prefetch(address.map_addr(|address| (address | 4095).wrapping_add(1)));
}

/// Asks for every cache line of `bytes` bytes at `address`: a few that are read next.
#[inline(always)]
pub fn prefetch_range(address: *const u8, bytes: usize) {
    prefetch_lines::<FIRST>(address, bytes);
}

/// As [`prefetch_range`], but no nearer than the second-level cache. Of rows that lie anywhere in memory more lines can be on
/// their way there at once than to the first, and it takes a few nanoseconds from there.
#[inline(always)]
pub fn prefetch_scattered(address: *const u8, bytes: usize) {
    prefetch_lines::<SECOND>(address, bytes);
}

#[inline(always)]
fn prefetch_lines<const LEVEL: u8>(address: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(64) {
        prefetch_into::<LEVEL>(address.wrapping_add(offset));
    }
}

#[inline(always)]
fn prefetch_into<const LEVEL: u8>(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address is allowed, mapped or not.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        match LEVEL {
            FIRST => _mm_prefetch::<_MM_HINT_T0>(address.cast()),
            _ => _mm_prefetch::<_MM_HINT_T1>(address.cast()),
        }
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instructions change no register and no flag.
    unsafe {
        use std::arch::asm;
        match LEVEL {
            FIRST => asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)),
            _ => asm!("prfm pldl2keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly)),
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
