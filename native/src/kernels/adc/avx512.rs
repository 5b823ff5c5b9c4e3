//! 64 slots a register.

use super::{AdcQuery, BYTE_ENTRIES, NIBBLE_ENTRIES, NIBBLES, SPREAD, Sums, scan_sums};
use crate::kernels::blocks::Blocks;
use crate::plan::BLOCK;
use crate::select::Reservoir;
use std::arch::x86_64::*;

/// Defines the scans of bytes and of nibbles around one way to look up a row of a block.
macro_rules! scans {
    ($features:literal, $scan_bytes:ident, $byte:ident, $scan_nibbles:ident, $nibbles:ident) => {
        #[target_feature(enable = $features)]
        pub unsafe fn $scan_bytes<const NQ: usize>(
            blocks: &Blocks,
            queries: &[AdcQuery; NQ],
            sinks: &mut [Reservoir; NQ],
        ) {
            let sums = |block: *const u8, query: &AdcQuery| {
                let (mut both, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
                for g in 0..query.rows {
                    let table = query.tables.as_ptr().cast::<u8>().wrapping_add(g * BYTE_ENTRIES);
                    // SAFETY: row `g` of the block and its table, 64-byte aligned.
                    let entries = unsafe { $byte(_mm512_load_si512(block.add(g * BLOCK).cast()), table) };
                    both = _mm512_add_epi16(both, entries);
                    odd = _mm512_add_epi16(odd, _mm512_srli_epi16::<8>(entries));
                }
                apart(both, odd)
            };
            // SAFETY: the caller's promise.
            unsafe { scan_sums(blocks, queries, sinks, sums) };
        }

        #[target_feature(enable = $features)]
        pub unsafe fn $scan_nibbles<const NQ: usize>(
            blocks: &Blocks,
            queries: &[AdcQuery; NQ],
            sinks: &mut [Reservoir; NQ],
        ) {
            let sums = |block: *const u8, query: &AdcQuery| {
                let (mut both, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
                let row = |g: usize| {
                    let table = query.tables.as_ptr().cast::<u8>().wrapping_add(g * NIBBLE_ENTRIES);
                    // SAFETY: row `g` of the block and its tables, 64-byte aligned.
                    unsafe { $nibbles(_mm512_load_si512(block.add(g * BLOCK).cast()), table) }
                };
                let mut g = 0;
                while g < query.rows {
                    // Four entries of at most 63 add up in a byte.
                    let entries = if g + 1 < query.rows { _mm512_add_epi8(row(g), row(g + 1)) } else { row(g) };
                    both = _mm512_add_epi16(both, entries);
                    odd = _mm512_add_epi16(odd, _mm512_srli_epi16::<8>(entries));
                    g += 2;
                }
                apart(both, odd)
            };
            // SAFETY: the caller's promise.
            unsafe { scan_sums(blocks, queries, sinks, sums) };
        }
    };
}

scans!("avx512f,avx512bw,avx512vl,avx512dq", scan_bytes, shuffled_bytes, scan_nibbles, shuffled_nibbles);
scans!(
    "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi",
    scan_bytes_vbmi,
    permuted_bytes,
    scan_nibbles_vbmi,
    permuted_nibbles
);

/// Each u16 lane of `both` is even + 256 * odd, modulo 65536.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn apart(both: __m512i, odd: __m512i) -> Sums {
    let mut sums = Sums::ZERO;
    let [evens, odds] = &mut sums.0;
    // SAFETY: each half of the sums is 64 bytes.
    unsafe {
        _mm512_storeu_si512(evens.as_mut_ptr().cast(), _mm512_sub_epi16(both, _mm512_slli_epi16::<8>(odd)));
        _mm512_storeu_si512(odds.as_mut_ptr().cast(), odd);
    }
    sums
}

/// Entries of bytes by two permutes of 128 each, between which the top bit chooses.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn permuted_bytes(bytes: __m512i, table: *const u8) -> __m512i {
    // SAFETY: 256 readable bytes, 64-byte aligned, by the caller's promise.
    let [a, b, c, d] = unsafe { table.cast::<[__m512i; 4]>().read() };
    let (low, high) = (_mm512_permutex2var_epi8(a, bytes, b), _mm512_permutex2var_epi8(c, bytes, d));
    _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high)
}

/// Entries of bytes by sixteen shuffles: each finds those of one high nibble, and zero for the others, whose
/// index has its top bit set by a saturating sum.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn shuffled_bytes(bytes: __m512i, table: *const u8) -> __m512i {
    let (sixteen, others) = (_mm512_set1_epi8(16), _mm512_set1_epi8(0x70));
    let (mut index, mut entries) = (bytes, _mm512_setzero_si512());
    for high in 0..BYTE_ENTRIES / NIBBLES {
        // SAFETY: 16 of 256 readable bytes, 16-byte aligned.
        let sixteenth = unsafe { _mm_load_si128(table.add(high * NIBBLES).cast()) };
        let found = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(sixteenth), _mm512_adds_epu8(index, others));
        entries = _mm512_or_si512(entries, found);
        index = _mm512_sub_epi8(index, sixteen);
    }
    entries
}

/// The entries of both nibbles of each byte, added.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn shuffled_nibbles(bytes: __m512i, table: *const u8) -> __m512i {
    let nibble = _mm512_set1_epi8(15);
    // SAFETY: 128 readable bytes, 64-byte aligned, by the caller's promise.
    let (low, high) = unsafe { (_mm512_load_si512(table.cast()), _mm512_load_si512(table.add(SPREAD).cast())) };
    let low = _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, nibble));
    let high = _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble));
    _mm512_add_epi8(low, high)
}

/// The same by permutes of 64 entries, which read the low six bits of an index: a spread table repeats its 16
/// entries, so the bits above a nibble need not be cut off.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn permuted_nibbles(bytes: __m512i, table: *const u8) -> __m512i {
    // SAFETY: 128 readable bytes, 64-byte aligned, by the caller's promise.
    let (low, high) = unsafe { (_mm512_load_si512(table.cast()), _mm512_load_si512(table.add(SPREAD).cast())) };
    let low = _mm512_permutexvar_epi8(bytes, low);
    let high = _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(bytes), high);
    _mm512_add_epi8(low, high)
}
