//! Hints that memory will be read soon. They change no result and fault on no address.

/// Asks for the cache line at `address`.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address is allowed, mapped or not.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction changes no register and no flag.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
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
    for offset in (0..bytes).step_by(64) {
        prefetch(address.wrapping_add(offset));
    }
}

/// As [`prefetch_range`], but no nearer than the second-level cache. Of rows that lie anywhere in memory more lines can be on
/// their way there at once than to the first, and it takes a few nanoseconds from there.
#[inline(always)]
pub fn prefetch_scattered(address: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(64) {
        prefetch_second(address.wrapping_add(offset));
    }
}

#[inline(always)]
fn prefetch_second(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address is allowed, mapped or not.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction changes no register and no flag.
    unsafe {
        std::arch::asm!("prfm pldl2keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
