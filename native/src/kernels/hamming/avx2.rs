//! 32 slots a register, with look-ups: Hamming as a fast-scan whose tables count differing bits.

use super::{HammingQuery, admit, limit};
use crate::kernels::blocks::{Blocks, GROUPS, Rows};
use crate::kernels::prefetch::prefetch_page_after;
use crate::plan::{BLOCK, CODE_BYTES};
use crate::select::Reservoir;
use std::arch::x86_64::*;

#[target_feature(enable = "avx2")]
pub unsafe fn scan<const NQ: usize>(blocks: &Blocks, queries: &[HammingQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let nibble = _mm256_set1_epi8(15);
    let tables = tables(queries);
    for b in 0..blocks.count {
        // SAFETY: `b < count`.
        let live = unsafe { blocks.live(b) };
        if live == 0 {
            continue;
        }
        let block = blocks.block(b);
        prefetch_page_after(block);
        // Bits by which low and high nibbles differ, of slots 0..32 and of slots 32..64.
        let mut counts = [[_mm256_setzero_si256(); 4]; NQ];
        for g in 0..CODE_BYTES {
            let at = block.wrapping_add(g * BLOCK);
            // SAFETY: row `g` of the block, 64-byte aligned.
            let (x, y) = unsafe { (_mm256_load_si256(at.cast()), _mm256_load_si256(at.add(BLOCK / 2).cast())) };
            let (x_low, x_high) = (_mm256_and_si256(x, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(x), nibble));
            let (y_low, y_high) = (_mm256_and_si256(y, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(y), nibble));
            for (tables, [a, b, c, d]) in tables.iter().zip(&mut counts) {
                // SAFETY: a row has two groups, the last of which is below `GROUPS`.
                let [low, high] = unsafe { tables.as_ptr().add(2 * g).cast::<[__m256i; 2]>().read() };
                *a = _mm256_add_epi8(*a, _mm256_shuffle_epi8(low, x_low));
                *b = _mm256_add_epi8(*b, _mm256_shuffle_epi8(high, x_high));
                *c = _mm256_add_epi8(*c, _mm256_shuffle_epi8(low, y_low));
                *d = _mm256_add_epi8(*d, _mm256_shuffle_epi8(high, y_high));
            }
        }
        let rows = blocks.rows(b);
        for ([a, b, c, d], sink) in counts.into_iter().zip(sinks.iter_mut()) {
            offer(live, [[a, b], [c, d]], sink, rows);
        }
    }
}

/// Of every query: for each group of four bits, how many differ from each nibble, in both
/// 128-bit lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn tables<const NQ: usize>(queries: &[HammingQuery; NQ]) -> [[__m256i; GROUPS]; NQ] {
    let nibbles = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    let bits = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let table = |nibble: u32| _mm256_shuffle_epi8(bits, _mm256_xor_si256(nibbles, _mm256_set1_epi8(nibble as i8)));
    let mut tables = [[bits; GROUPS]; NQ];
    for (query, tables) in queries.iter().zip(&mut tables) {
        let (pairs, _) = tables.as_chunks_mut::<2>();
        for (byte, [low, high]) in query.bytes.iter().zip(pairs) {
            (*low, *high) = (table(byte & 15), table(byte >> 4 & 15));
        }
    }
    tables
}

/// Admits live slots whose distance beats the threshold.
#[inline]
#[target_feature(enable = "avx2")]
fn offer(live: u64, halves: [[__m256i; 2]; 2], sink: &mut Reservoir, rows: Rows) {
    let [left, right] = halves;
    let passed = limit(sink.threshold()).map_or(live, |limit| {
        let limit = _mm256_set1_epi8(limit as i8);
        let reach = |[lows, highs]: [__m256i; 2]| {
            let distance = _mm256_adds_epu8(lows, highs);
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(distance, limit), distance)) as u32
        };
        live & !(u64::from(reach(right)) << 32 | u64::from(reach(left)))
    });
    if passed != 0 {
        let mut counts = [[0u8; BLOCK]; 2];
        for ((counts, left), right) in counts.iter_mut().zip(left).zip(right) {
            // SAFETY: each array is 64 bytes.
            unsafe {
                _mm256_storeu_si256(counts.as_mut_ptr().cast(), left);
                _mm256_storeu_si256(counts.as_mut_ptr().add(32).cast(), right);
            }
        }
        admit(sink, passed, &counts, 1, rows);
    }
}
