//! 32 slots a register, the halves of a block one after the other.

use super::FlatQuery;
use crate::kernels::blocks::Blocks;
use crate::kernels::prefetch::prefetch_page_after;
use crate::plan::{BLOCK, CODE_BYTES};
use crate::select::Reservoir;
use std::arch::x86_64::*;

#[target_feature(enable = "avx2,f16c")]
pub unsafe fn scan<const NQ: usize>(blocks: &Blocks, queries: &[FlatQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    for b in 0..blocks.count {
        // SAFETY: `b < count`.
        let live = unsafe { blocks.live(b) };
        if live == 0 {
            continue;
        }
        let block = blocks.block(b);
        prefetch_page_after(block);
        // SAFETY: the block is readable, by the caller's promise.
        let (left, right) = unsafe { (sums(block, queries), sums(block.add(BLOCK / 2), queries)) };
        for (((query, left), right), sink) in queries.iter().zip(left).zip(right).zip(sinks.iter_mut()) {
            // SAFETY: as above.
            unsafe { offer(blocks, b, live, query, [left, right], sink) };
        }
    }
}

/// Sums of the 32 slots whose first row starts at `half`: u16 of even slots, u16 of odd slots.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn sums<const NQ: usize>(half: *const u8, queries: &[FlatQuery; NQ]) -> [(__m256i, __m256i); NQ] {
    let nibble = _mm256_set1_epi8(15);
    let (mut both, mut odd) = ([_mm256_setzero_si256(); NQ], [_mm256_setzero_si256(); NQ]);
    for g in (0..CODE_BYTES).step_by(2) {
        let at = half.wrapping_add(g * BLOCK);
        // SAFETY: half of rows `g` and `g + 1` of the block, 32-byte aligned.
        let (x, y) = unsafe { (_mm256_load_si256(at.cast()), _mm256_load_si256(at.add(BLOCK).cast())) };
        let (x_low, x_high) = (_mm256_and_si256(x, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(x), nibble));
        let (y_low, y_high) = (_mm256_and_si256(y, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(y), nibble));
        for ((query, both), odd) in queries.iter().zip(&mut both).zip(&mut odd) {
            // SAFETY: a table row is 32 bytes and `g + 1` is a row.
            let [a, b, c, d] = unsafe { tables(query.table.row(g)) };
            let x = _mm256_add_epi8(_mm256_shuffle_epi8(a, x_low), _mm256_shuffle_epi8(b, x_high));
            let y = _mm256_add_epi8(_mm256_shuffle_epi8(c, y_low), _mm256_shuffle_epi8(d, y_high));
            let sum = _mm256_add_epi8(x, y);
            *both = _mm256_add_epi16(*both, sum);
            *odd = _mm256_add_epi16(*odd, _mm256_srli_epi16::<8>(sum));
        }
    }
    let mut sums = [(nibble, nibble); NQ];
    for ((sums, both), odd) in sums.iter_mut().zip(both).zip(odd) {
        *sums = (_mm256_sub_epi16(both, _mm256_slli_epi16::<8>(odd)), odd);
    }
    sums
}

/// The four tables of two rows, each in both 128-bit lanes.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn tables(table: *const u8) -> [__m256i; 4] {
    // SAFETY: 64 readable bytes, 16-byte aligned, by the caller's promise.
    unsafe {
        [
            _mm256_broadcastsi128_si256(_mm_load_si128(table.cast())),
            _mm256_broadcastsi128_si256(_mm_load_si128(table.add(16).cast())),
            _mm256_broadcastsi128_si256(_mm_load_si128(table.add(32).cast())),
            _mm256_broadcastsi128_si256(_mm_load_si128(table.add(48).cast())),
        ]
    }
}

/// Turns sums into estimates and admits those of live slots that beat the threshold.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn offer(
    blocks: &Blocks,
    b: usize,
    live: u64,
    query: &FlatQuery,
    halves: [(__m256i, __m256i); 2],
    sink: &mut Reservoir,
) {
    let (step, lo) = (_mm256_set1_ps(query.step), _mm256_set1_ps(query.lo));
    let (bias, threshold) = (_mm256_set1_ps(query.bias), _mm256_set1_ps(sink.threshold()));
    let mut scores = [0f32; BLOCK];
    let mut passed = 0u64;
    for (half, (even, odd)) in halves.into_iter().enumerate() {
        // Slots 0..8 and 16..24 of the half, then slots 8..16 and 24..32.
        let (low, high) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
        let sums = [
            _mm256_castsi256_si128(low),
            _mm256_castsi256_si128(high),
            _mm256_extracti128_si256::<1>(low),
            _mm256_extracti128_si256::<1>(high),
        ];
        for (i, sum) in sums.into_iter().enumerate() {
            let first = half * 32 + i * 8;
            // SAFETY: 8 of the 64 factors and norms of the block, 16-byte aligned.
            let floats = |halves: *const u16| unsafe { _mm256_cvtph_ps(_mm_load_si128(halves.add(first).cast())) };
            let sum = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sum));
            let inner = _mm256_add_ps(_mm256_mul_ps(sum, step), lo);
            let mut estimate = _mm256_add_ps(_mm256_mul_ps(floats(blocks.factors(b)), inner), bias);
            if let Some(norms) = blocks.norms {
                let norm = _mm256_mul_ps(floats(norms.block(b)), _mm256_set1_ps(norms.scale));
                estimate = _mm256_sub_ps(estimate, norm);
            }
            let beats = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(estimate, threshold));
            passed |= (beats as u64) << first;
            // SAFETY: `first + 8 <= 64`.
            unsafe { _mm256_storeu_ps(scores.as_mut_ptr().add(first), estimate) };
        }
    }
    if passed & live != 0 {
        // SAFETY: the rows of the block are mapped.
        unsafe { sink.admit(passed & live, &scores, blocks.rows(b)) };
    }
}
