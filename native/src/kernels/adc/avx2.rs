//! 32 slots a register, the halves of a block one after the other.

use super::{AdcQuery, BYTE_ENTRIES, NIBBLE_ENTRIES, NIBBLES, SPREAD, Sums, scan_sums};
use crate::kernels::blocks::Blocks;
use crate::plan::BLOCK;
use crate::select::Reservoir;
use std::arch::x86_64::*;

#[target_feature(enable = "avx2")]
pub unsafe fn scan_bytes<const NQ: usize>(blocks: &Blocks, queries: &[AdcQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, query: &AdcQuery| {
        let mut both_odd = [[_mm256_setzero_si256(); 2]; 2];
        for g in 0..query.rows {
            let table = query.tables.as_ptr().cast::<u8>().wrapping_add(g * BYTE_ENTRIES);
            // SAFETY: row `g` of the block and its table, 64-byte aligned.
            let halves = unsafe { bytes(load(block.add(g * BLOCK)), table) };
            add(&mut both_odd, halves);
        }
        apart(both_odd)
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums(blocks, queries, sinks, sums) };
}

#[target_feature(enable = "avx2")]
pub unsafe fn scan_nibbles<const NQ: usize>(blocks: &Blocks, queries: &[AdcQuery; NQ], sinks: &mut [Reservoir; NQ]) {
    let sums = |block: *const u8, query: &AdcQuery| {
        let mut both_odd = [[_mm256_setzero_si256(); 2]; 2];
        let row = |g: usize| {
            let table = query.tables.as_ptr().cast::<u8>().wrapping_add(g * NIBBLE_ENTRIES);
            // SAFETY: row `g` of the block and its tables, 64-byte aligned.
            unsafe { nibbles(load(block.add(g * BLOCK)), table) }
        };
        let mut g = 0;
        while g < query.rows {
            // Four entries of at most 63 add up in a byte.
            let [mut left, mut right] = row(g);
            if g + 1 < query.rows {
                let [more_left, more_right] = row(g + 1);
                (left, right) = (_mm256_add_epi8(left, more_left), _mm256_add_epi8(right, more_right));
            }
            add(&mut both_odd, [left, right]);
            g += 2;
        }
        apart(both_odd)
    };
    // SAFETY: the caller's promise.
    unsafe { scan_sums(blocks, queries, sinks, sums) };
}

/// A row of a block: slots 0..32 and slots 32..64.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(row: *const u8) -> [__m256i; 2] {
    // SAFETY: 64 readable bytes, 64-byte aligned, by the caller's promise.
    unsafe { [_mm256_load_si256(row.cast()), _mm256_load_si256(row.add(BLOCK / 2).cast())] }
}

/// Adds entries to u16 lanes of even + 256 * odd, modulo 65536, and to those of odd alone.
#[inline]
#[target_feature(enable = "avx2")]
fn add(both_odd: &mut [[__m256i; 2]; 2], halves: [__m256i; 2]) {
    for ([both, odd], entries) in both_odd.iter_mut().zip(halves) {
        *both = _mm256_add_epi16(*both, entries);
        *odd = _mm256_add_epi16(*odd, _mm256_srli_epi16::<8>(entries));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn apart(both_odd: [[__m256i; 2]; 2]) -> Sums {
    let mut sums = Sums::ZERO;
    let [evens, odds] = &mut sums.0;
    let halves = evens.chunks_exact_mut(BLOCK / 4).zip(odds.chunks_exact_mut(BLOCK / 4));
    for ([both, odd], (evens, odds)) in both_odd.into_iter().zip(halves) {
        // SAFETY: each chunk is 32 bytes.
        unsafe {
            _mm256_storeu_si256(evens.as_mut_ptr().cast(), _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(odd)));
            _mm256_storeu_si256(odds.as_mut_ptr().cast(), odd);
        }
    }
    sums
}

/// Entries of bytes by sixteen shuffles: each finds those of one high nibble, and zero for the others, whose
/// index has its top bit set by a saturating sum.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn bytes(halves: [__m256i; 2], table: *const u8) -> [__m256i; 2] {
    let (sixteen, others) = (_mm256_set1_epi8(16), _mm256_set1_epi8(0x70));
    let (mut indexes, mut entries) = (halves, [_mm256_setzero_si256(); 2]);
    for high in 0..BYTE_ENTRIES / NIBBLES {
        // SAFETY: 16 of 256 readable bytes, 16-byte aligned.
        let sixteenth = _mm256_broadcastsi128_si256(unsafe { _mm_load_si128(table.add(high * NIBBLES).cast()) });
        for (index, entries) in indexes.iter_mut().zip(&mut entries) {
            *entries = _mm256_or_si256(*entries, _mm256_shuffle_epi8(sixteenth, _mm256_adds_epu8(*index, others)));
            *index = _mm256_sub_epi8(*index, sixteen);
        }
    }
    entries
}

/// The entries of both nibbles of each byte, added.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn nibbles(halves: [__m256i; 2], table: *const u8) -> [__m256i; 2] {
    let nibble = _mm256_set1_epi8(15);
    // SAFETY: 128 readable bytes, 64-byte aligned, by the caller's promise.
    let (low, high) = unsafe { (_mm256_load_si256(table.cast()), _mm256_load_si256(table.add(SPREAD).cast())) };
    halves.map(|bytes| {
        let low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble));
        let high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble));
        _mm256_add_epi8(low, high)
    })
}
