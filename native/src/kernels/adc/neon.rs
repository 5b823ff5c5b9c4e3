//! 16 slots a register, the quarters of a block one after the other.

use super::{AdcQuery, BYTE_ENTRIES, NIBBLE_ENTRIES, SPREAD, Sums, scan_sums};
use crate::kernels::blocks::Blocks;
use crate::plan::BLOCK;
use crate::select::Reservoir;
use std::arch::aarch64::*;

/// Slots of a register.
const WIDTH: usize = 16;

#[target_feature(enable = "neon")]
pub unsafe fn scan_bytes<const NQ: usize>(blocks: &Blocks, queries: &[AdcQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, query: &AdcQuery| {
        quarters(|quarter| {
            let (mut both, mut odd) = (vdupq_n_u16(0), vdupq_n_u16(0));
            for g in 0..query.rows {
                let table = query.tables.as_ptr().cast::<u8>().wrapping_add(g * BYTE_ENTRIES);
                // SAFETY: a quarter of row `g` of the block, and its table.
                let entries = unsafe { bytes(block.add(g * BLOCK + quarter * WIDTH), table) };
                both = vaddq_u16(both, vreinterpretq_u16_u8(entries));
                odd = vaddq_u16(odd, vshrq_n_u16::<8>(vreinterpretq_u16_u8(entries)));
            }
            (both, odd)
        })
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums(blocks, queries, sinks, sums) };
}

#[target_feature(enable = "neon")]
pub unsafe fn scan_nibbles<const NQ: usize>(blocks: &Blocks, queries: &[AdcQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, query: &AdcQuery| {
        quarters(|quarter| {
            let (mut both, mut odd) = (vdupq_n_u16(0), vdupq_n_u16(0));
            for g in 0..query.rows {
                let table = query.tables.as_ptr().cast::<u8>().wrapping_add(g * NIBBLE_ENTRIES);
                // SAFETY: a quarter of row `g` of the block, and its tables.
                let entries = unsafe { nibbles(block.add(g * BLOCK + quarter * WIDTH), table) };
                both = vaddq_u16(both, vreinterpretq_u16_u8(entries));
                odd = vaddq_u16(odd, vshrq_n_u16::<8>(vreinterpretq_u16_u8(entries)));
            }
            (both, odd)
        })
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums(blocks, queries, sinks, sums) };
}

/// The sums of all quarters. A u16 lane is even + 256 * odd, modulo 65536, and odd alone.
#[inline]
#[target_feature(enable = "neon")]
fn quarters(quarter: impl Fn(usize) -> (uint16x8_t, uint16x8_t)) -> Sums {
    let mut sums = Sums::ZERO;
    let [evens, odds] = &mut sums.0;
    let chunks = evens.chunks_exact_mut(WIDTH / 2).zip(odds.chunks_exact_mut(WIDTH / 2));
    for (i, (evens, odds)) in chunks.enumerate() {
        let (both, odd) = quarter(i);
        // SAFETY: each chunk is 16 bytes.
        unsafe {
            vst1q_u16(evens.as_mut_ptr(), vsubq_u16(both, vshlq_n_u16::<8>(odd)));
            vst1q_u16(odds.as_mut_ptr(), odd);
        }
    }
    sums
}

/// Entries of 16 bytes by four look-ups of 64 each: an index beyond them keeps what was found before.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn bytes(codes: *const u8, table: *const u8) -> uint8x16_t {
    // SAFETY: 16 readable bytes of codes and 256 of the table, by the caller's promise.
    unsafe {
        let index = vld1q_u8(codes);
        let quarter = |i: usize| vld1q_u8_x4(table.add(i * 64));
        let entries = vqtbl4q_u8(quarter(0), index);
        let entries = vqtbx4q_u8(entries, quarter(1), vsubq_u8(index, vdupq_n_u8(64)));
        let entries = vqtbx4q_u8(entries, quarter(2), vsubq_u8(index, vdupq_n_u8(128)));
        vqtbx4q_u8(entries, quarter(3), vsubq_u8(index, vdupq_n_u8(192)))
    }
}

/// Entries of both nibbles of 16 bytes, added.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn nibbles(codes: *const u8, table: *const u8) -> uint8x16_t {
    // SAFETY: 16 readable bytes of codes and 128 of tables, by the caller's promise.
    let (x, low, high) = unsafe { (vld1q_u8(codes), vld1q_u8(table), vld1q_u8(table.add(SPREAD))) };
    vaddq_u8(vqtbl1q_u8(low, vandq_u8(x, vdupq_n_u8(15))), vqtbl1q_u8(high, vshrq_n_u8::<4>(x)))
}
