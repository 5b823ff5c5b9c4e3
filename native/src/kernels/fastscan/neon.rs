//! 16 slots a register: sums only, the estimates are left to the portable loop.

use super::{FlatQuery, scan_sums};
use crate::kernels::blocks::{Blocks, ENTRIES, Table};
use crate::kernels::lanes::Neon;
use crate::plan::{BLOCK, CODE_BYTES};
use crate::select::Reservoir;
use std::arch::aarch64::*;

#[target_feature(enable = "neon")]
pub unsafe fn scan<const NQ: usize>(blocks: &Blocks, queries: &[FlatQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, table: &Table| {
        let mut sums = [0u16; BLOCK];
        for (quarter, sums) in sums.chunks_exact_mut(16).enumerate() {
            // SAFETY: a quarter of every row of the block, and 16 sums.
            unsafe { quarter_sums(block.add(quarter * 16), table, sums.as_mut_ptr()) };
        }
        sums
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums::<Neon, NQ>(blocks, queries, sinks, sums) };
}

/// Sums of 16 slots.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn quarter_sums(quarter: *const u8, table: &Table, out: *mut u16) {
    let (mut low, mut high) = (vdupq_n_u16(0), vdupq_n_u16(0));
    for g in (0..CODE_BYTES).step_by(2) {
        // SAFETY: rows `g` and `g + 1` exist, and their tables are 64 bytes.
        let sum = unsafe {
            vaddq_u8(pair(quarter.add(g * BLOCK), table.row(g)), pair(quarter.add((g + 1) * BLOCK), table.row(g + 1)))
        };
        low = vaddw_u8(low, vget_low_u8(sum));
        high = vaddw_high_u8(high, sum);
    }
    // SAFETY: `out` is writable for 16 sums.
    unsafe {
        vst1q_u16(out, low);
        vst1q_u16(out.add(8), high);
    }
}

/// Look-ups of both nibbles of 16 bytes, added.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn pair(codes: *const u8, table: *const u8) -> uint8x16_t {
    // SAFETY: 16 readable bytes of codes and 32 of tables, by the caller's promise.
    let (x, low, high) = unsafe { (vld1q_u8(codes), vld1q_u8(table), vld1q_u8(table.add(ENTRIES))) };
    vaddq_u8(vqtbl1q_u8(low, vandq_u8(x, vdupq_n_u8(15))), vqtbl1q_u8(high, vshrq_n_u8::<4>(x)))
}
