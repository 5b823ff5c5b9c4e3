//! 64 slots a register, with the popcount of BITALG or with carry-save adders.

use super::{EIGHT, HammingQuery, admit, limit};
use crate::kernels::blocks::{Blocks, Rows};
use crate::kernels::prefetch::prefetch_page_after;
use crate::plan::{BLOCK, CODE_BYTES};
use crate::select::Reservoir;
use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bitalg")]
pub unsafe fn scan_bitalg<const NQ: usize>(blocks: &Blocks, queries: &[HammingQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    // Hidden, so that the loop over rows stays a loop: the hardware's prefetch follows one instruction down the
    // rows, and unrolled it was measured to take twice as long.
    let half = black_box(CODE_BYTES / 2);
    for b in 0..blocks.count {
        // SAFETY: `b < count`.
        let live = unsafe { blocks.live(b) };
        if live == 0 {
            continue;
        }
        let block = blocks.block(b);
        prefetch_page_after(block);
        let (mut low, mut high) = ([_mm512_setzero_si512(); NQ], [_mm512_setzero_si512(); NQ]);
        // SAFETY: the block is readable, by the caller's promise.
        unsafe {
            add_differences(block, 0..half, queries, &mut low);
            add_differences(block, half..2 * half, queries, &mut high);
        }
        let rows = blocks.rows(b);
        for ((low, high), sink) in low.into_iter().zip(high).zip(sinks.iter_mut()) {
            offer(live, _mm512_adds_epu8(low, high), [low, high], 1, sink, rows);
        }
    }
}

/// Adds the bits by which some rows differ from each query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bitalg")]
unsafe fn add_differences<const NQ: usize>(
    block: *const u8,
    rows: Range<usize>,
    queries: &[HammingQuery; NQ],
    counts: &mut [__m512i; NQ],
) {
    for g in rows {
        let at = block.wrapping_add(g * BLOCK);
        // SAFETY: row `g` of the block, 64-byte aligned.
        let x = unsafe { _mm512_load_si512(at.cast()) };
        for (query, count) in queries.iter().zip(counts.iter_mut()) {
            // SAFETY: a query has a word for every row.
            let byte = _mm512_set1_epi32(unsafe { *query.bytes.get_unchecked(g) } as i32);
            *count = _mm512_add_epi8(*count, _mm512_popcnt_epi8(_mm512_xor_si512(x, byte)));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn scan_bw<const NQ: usize>(blocks: &Blocks, queries: &[HammingQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    for b in 0..blocks.count {
        // SAFETY: `b < count`.
        let live = unsafe { blocks.live(b) };
        if live == 0 {
            continue;
        }
        let block = blocks.block(b);
        prefetch_page_after(block);
        let rows = blocks.rows(b);
        for (query, sink) in queries.iter().zip(sinks.iter_mut()) {
            // SAFETY: the block is readable, by the caller's promise.
            let [rest, eights] = unsafe { counts(block, query) };
            let fours = _mm512_add_epi8(_mm512_add_epi8(eights, eights), _mm512_add_epi8(eights, eights));
            let distance = _mm512_adds_epu8(_mm512_adds_epu8(fours, fours), rest);
            offer(live, distance, [rest, eights], EIGHT, sink, rows);
        }
    }
}

/// Differing bits of every slot: those counted one by one, and whole eights.
///
/// Eight rows at a time are added bit position by bit position, so that seven popcounts a block
/// do instead of 32 (Harley and Seal).
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn counts(block: *const u8, query: &HammingQuery) -> [__m512i; 2] {
    let zero = _mm512_setzero_si512();
    let (mut ones, mut twos, mut fours, mut eights) = (zero, zero, zero, zero);
    for g in (0..CODE_BYTES).step_by(EIGHT as usize) {
        let difference = |i: usize| {
            // SAFETY: `g + i` is a row of the block, 64-byte aligned, and a word of the query.
            let (x, byte) =
                unsafe { (_mm512_load_si512(block.add((g + i) * BLOCK).cast()), *query.bytes.get_unchecked(g + i)) };
            _mm512_xor_si512(x, _mm512_set1_epi32(byte as i32))
        };
        let (sum, two_a) = add3(ones, difference(0), difference(1));
        let (sum, two_b) = add3(sum, difference(2), difference(3));
        let (two, four_a) = add3(twos, two_a, two_b);
        let (sum, two_a) = add3(sum, difference(4), difference(5));
        let (sum, two_b) = add3(sum, difference(6), difference(7));
        let (two, four_b) = add3(two, two_a, two_b);
        let (four, eight) = add3(fours, four_a, four_b);
        (ones, twos, fours) = (sum, two, four);
        eights = _mm512_add_epi8(eights, popcount(eight));
    }
    let twice = |x| _mm512_add_epi8(x, x);
    let rest = _mm512_add_epi8(twice(popcount(fours)), popcount(twos));
    [_mm512_add_epi8(twice(rest), popcount(ones)), eights]
}

/// The sum of three bits at every position, as its low and its high bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn add3(a: __m512i, b: __m512i, c: __m512i) -> (__m512i, __m512i) {
    const PARITY: i32 = 0x96;
    const MAJORITY: i32 = 0xe8;
    (_mm512_ternarylogic_epi64::<PARITY>(a, b, c), _mm512_ternarylogic_epi64::<MAJORITY>(a, b, c))
}

/// Bits set in each byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn popcount(x: __m512i) -> __m512i {
    let nibble = _mm512_set1_epi8(15);
    let bits = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(x), nibble);
    _mm512_add_epi8(_mm512_shuffle_epi8(bits, _mm512_and_si512(x, nibble)), _mm512_shuffle_epi8(bits, high))
}

/// Admits live slots whose saturated distance beats the threshold; `parts` make the exact one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn offer(live: u64, distance: __m512i, parts: [__m512i; 2], weight: u32, sink: &mut Reservoir, rows: Rows) {
    let passed = limit(sink.threshold())
        .map_or(live, |limit| live & _mm512_cmplt_epu8_mask(distance, _mm512_set1_epi8(limit as i8)));
    if passed != 0 {
        let mut counts = [[0u8; BLOCK]; 2];
        for (counts, part) in counts.iter_mut().zip(parts) {
            // SAFETY: each array is 64 bytes.
            unsafe { _mm512_storeu_si512(counts.as_mut_ptr().cast(), part) };
        }
        admit(sink, passed, &counts, weight, rows);
    }
}
