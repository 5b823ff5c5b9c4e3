//! What the scanning kernels share: a run of code blocks, and the look-up tables of queries.

#[cfg(test)]
pub mod fixture;

use crate::plan::{CODE_BITS, CODE_BYTES};
use crate::select::Reservoir;
use std::sync::atomic::{AtomicU64, Ordering};

/// Groups of four bits of a code, each with a look-up table of its own.
pub const GROUPS: usize = CODE_BITS / 4;
/// Entries of the table of a group.
pub const ENTRIES: usize = 16;

/// Consecutive blocks of one segment.
#[derive(Clone, Copy)]
pub struct Blocks {
    /// The first block of codes, 64-byte aligned.
    pub codes: *const u8,
    /// Bytes from a block to the next, a multiple of 64.
    pub stride: usize,
    /// The live word of the first block.
    pub live: *mut u64,
    /// Number of blocks.
    pub count: usize,
    /// Row of the first slot.
    pub first_row: u32,
    /// What the stored squared norms are multiplied by, when the metric is l2.
    pub norm_scale: Option<f32>,
}

impl Blocks {
    /// Live word of block `b`. Codes read after it are whole where its bits are set.
    ///
    /// # Safety
    /// `b < count` and the live words are mapped and 8-byte aligned.
    #[inline(always)]
    pub unsafe fn live(&self, b: usize) -> u64 {
        // SAFETY: the word is inside the column, and every thread accesses it atomically.
        unsafe { AtomicU64::from_ptr(self.live.add(b)) }.load(Ordering::Acquire)
    }
}

/// One table of [`ENTRIES`] a group: row `g` of a block is looked up in tables `2g` (low nibbles)
/// and `2g + 1` (high nibbles).
#[repr(C, align(64))]
#[derive(Clone)]
pub struct Table(pub [u8; GROUPS * ENTRIES]);

impl Table {
    /// Address of the two tables of row `g`, 32 bytes.
    #[inline(always)]
    pub fn row(&self, g: usize) -> *const u8 {
        debug_assert!(g < CODE_BYTES);
        self.0.as_ptr().wrapping_add(g * 2 * ENTRIES)
    }
}

/// A kernel that scores a run of blocks for `NQ` queries in one pass and pushes what beats the
/// thresholds into the reservoirs.
///
/// Safety of a call: the CPU has the kernel's instruction set and the blocks and live words are
/// readable. Slots without a live bit may hold anything, also bytes being written.
pub type Scan<Q, const NQ: usize> = unsafe fn(&Blocks, &[Q; NQ], &mut [Reservoir; NQ]);
