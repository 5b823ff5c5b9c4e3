//! 16 slots a register: counts only, the rest is left to the portable loop.

use super::{HammingQuery, scan_counts};
use crate::kernels::blocks::Blocks;
use crate::plan::BLOCK;
use crate::select::Reservoir;
use std::arch::aarch64::*;

#[target_feature(enable = "neon")]
pub unsafe fn scan<const NQ: usize>(blocks: &Blocks, queries: &[HammingQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let count = |rows: *const u8, bytes: &[u32]| {
        let mut counts = [0u8; BLOCK];
        for (quarter, counts) in counts.chunks_exact_mut(16).enumerate() {
            let mut sum = vdupq_n_u8(0);
            for (g, byte) in bytes.iter().enumerate() {
                // SAFETY: a quarter of a row of the block.
                let x = unsafe { vld1q_u8(rows.add(g * BLOCK + quarter * 16)) };
                sum = vaddq_u8(sum, vcntq_u8(veorq_u8(x, vdupq_n_u8(*byte as u8))));
            }
            // SAFETY: a chunk is 16 bytes.
            unsafe { vst1q_u8(counts.as_mut_ptr(), sum) };
        }
        counts
    };
    // SAFETY: the caller's promise.
    unsafe { scan_counts(blocks, queries, sinks, count) };
}
