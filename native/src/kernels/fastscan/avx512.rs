//! 64 slots a register.

use super::FlatQuery;
use crate::kernels::blocks::{Blocks, Rows};
use crate::kernels::prefetch::prefetch_page_after;
use crate::plan::{BLOCK, CODE_BYTES};
use crate::select::Reservoir;
use std::arch::x86_64::*;
use std::hint::black_box;

/// Where the sums of slots 0..32 are in (even, odd): `even[0], odd[0], even[1], ...`.
static FIRST_HALF: [u16; 32] = interleave(0);
/// The same for slots 32..64.
static SECOND_HALF: [u16; 32] = interleave(16);

const fn interleave(from: u16) -> [u16; 32] {
    let mut indexes = [0; 32];
    let mut i = 0;
    while i < 32 {
        #[allow(clippy::indexing_slicing)]
        {
            indexes[i] = from + i as u16 / 2 + (i as u16 % 2) * 32;
        }
        i += 1;
    }
    indexes
}

/// Defines a scan, and the sums it is made of, around one way to look up a row of a block.
macro_rules! scan {
    ($scan:ident, $sums:ident, $row:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        pub unsafe fn $scan<const NQ: usize>(blocks: &Blocks, queries: &[FlatQuery; NQ], sinks: &mut [Reservoir; NQ]) {
            let finish = |(b, live, sums): Scanned<NQ>, sinks: &mut [Reservoir; NQ]| {
                for ((query, sums), sink) in queries.iter().zip(sums).zip(sinks) {
                    // SAFETY: the block is readable, by the caller's promise.
                    unsafe { offer(blocks, b, live, query, sums, sink) };
                }
            };
            // The estimates of one query wait until the look-ups of the next block are under way: else
            // those would wait for them. The sums of several queries would not fit the registers.
            let mut scanned: Option<Scanned<NQ>> = None;
            for b in 0..blocks.count {
                // SAFETY: `b < count`.
                let live = unsafe { blocks.live(b) };
                if live == 0 {
                    continue;
                }
                let block = blocks.block(b);
                prefetch_page_after(block);
                // SAFETY: the block is readable, by the caller's promise.
                let sums = unsafe { $sums(block, queries) };
                let now = (b, live, sums);
                if let Some(ready) = if NQ == 1 { scanned.replace(now) } else { Some(now) } {
                    finish(ready, sinks);
                }
            }
            if let Some(last) = scanned {
                finish(last, sinks);
            }
        }

        /// Sums of a block: u16 of even slots, u16 of odd slots.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn $sums<const NQ: usize>(block: *const u8, queries: &[FlatQuery; NQ]) -> [(__m512i, __m512i); NQ] {
            let zero = _mm512_setzero_si512();
            // Each u16 lane of `both` is even + 256 * odd, modulo 65536.
            let (mut both, mut odd) = ([zero; NQ], [zero; NQ]);
            // Hidden, so that the loop stays a loop: the hardware's prefetch follows one instruction down the rows.
            for g in (0..black_box(CODE_BYTES)).step_by(2) {
                let at = block.wrapping_add(g * BLOCK);
                // SAFETY: rows `g` and `g + 1` of the block, 64-byte aligned.
                let (x, y) = unsafe { (_mm512_load_si512(at.cast()), _mm512_load_si512(at.add(BLOCK).cast())) };
                for ((query, both), odd) in queries.iter().zip(&mut both).zip(&mut odd) {
                    // SAFETY: two rows have four tables, 64-byte aligned.
                    let [a, b, c, d] = unsafe { query.wide.row(g).cast::<[__m512i; 4]>().read() };
                    let sum = _mm512_add_epi8($row(x, a, b), $row(y, c, d));
                    *both = _mm512_add_epi16(*both, sum);
                    *odd = _mm512_add_epi16(*odd, _mm512_srli_epi16::<8>(sum));
                }
            }
            let mut sums = [(zero, zero); NQ];
            for ((sums, both), odd) in sums.iter_mut().zip(both).zip(odd) {
                *sums = (_mm512_sub_epi16(both, _mm512_slli_epi16::<8>(odd)), odd);
            }
            sums
        }
    };
}

scan!(scan, sums, shuffled, "avx512f,avx512bw,avx512vl,avx512dq,f16c");
scan!(scan_vbmi, sums_vbmi, permuted, "avx512f,avx512bw,avx512vl,avx512dq,f16c,avx512vbmi");

/// The entries of both nibbles of each byte, added. A shuffle takes a set top bit for zero, so
/// nibbles are cut out.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn shuffled(bytes: __m512i, low: __m512i, high: __m512i) -> __m512i {
    let nibble = _mm512_set1_epi8(15);
    let low = _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, nibble));
    let high = _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble));
    _mm512_add_epi8(low, high)
}

/// The same by permutes of 64 entries. A permute reads the low six bits of an index, and a spread
/// table repeats its 16 entries, so the bits above a nibble need not be cut off.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn permuted(bytes: __m512i, low: __m512i, high: __m512i) -> __m512i {
    let low = _mm512_permutexvar_epi8(bytes, low);
    let high = _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(bytes), high);
    _mm512_add_epi8(low, high)
}

/// A block, its live word and its sums for each query: u16 of even slots, u16 of odd slots.
type Scanned<const NQ: usize> = (usize, u64, [(__m512i, __m512i); NQ]);

/// Turns sums into estimates and admits those of live slots that beat the threshold.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,f16c")]
unsafe fn offer(
    blocks: &Blocks,
    b: usize,
    live: u64,
    query: &FlatQuery,
    (even, odd): (__m512i, __m512i),
    sink: &mut Reservoir,
) {
    // SAFETY: each static is 64 bytes.
    let (first, second) =
        unsafe { (_mm512_loadu_si512(FIRST_HALF.as_ptr().cast()), _mm512_loadu_si512(SECOND_HALF.as_ptr().cast())) };
    let first = _mm512_permutex2var_epi16(even, first, odd);
    let second = _mm512_permutex2var_epi16(even, second, odd);
    let sums = [
        _mm512_castsi512_si256(first),
        _mm512_extracti64x4_epi64::<1>(first),
        _mm512_castsi512_si256(second),
        _mm512_extracti64x4_epi64::<1>(second),
    ];
    let (step, lo) = (_mm512_set1_ps(query.step), _mm512_set1_ps(query.lo));
    let (bias, threshold) = (_mm512_set1_ps(query.bias), _mm512_set1_ps(sink.threshold()));
    let mut estimates = [bias; 4];
    let mut passed = 0u64;
    for (i, (sum, estimate)) in sums.into_iter().zip(&mut estimates).enumerate() {
        // SAFETY: 16 of the 64 factors and norms of the block, 32-byte aligned.
        let floats = |halves: *const u16| unsafe { _mm512_cvtph_ps(_mm256_load_si256(halves.add(16 * i).cast())) };
        let sum = _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sum));
        let inner = _mm512_add_ps(_mm512_mul_ps(sum, step), lo);
        *estimate = _mm512_add_ps(_mm512_mul_ps(floats(blocks.factors(b)), inner), bias);
        if let Some(norms) = blocks.norms {
            let norm = _mm512_mul_ps(floats(norms.block(b)), _mm512_set1_ps(norms.scale));
            *estimate = _mm512_sub_ps(*estimate, norm);
        }
        passed |= u64::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(*estimate, threshold)) << (16 * i);
    }
    if passed & live != 0 {
        // SAFETY: the rows of the block are mapped, by the caller's promise.
        unsafe { admit(passed & live, estimates, blocks.rows(b), sink) };
    }
}

/// Takes the slots of `mask` into the reservoir: estimates and rows are packed 16 at a time. A loop over the slots
/// would mispredict its end in nearly every block.
///
/// # Safety
/// The rows of the block are mapped.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn admit(mask: u64, estimates: [__m512; 4], rows: Rows, sink: &mut Reservoir) {
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    // Where pairs of a low and a high half come from.
    let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    let room = sink.room();
    let mut taken = 0usize;
    for (i, estimate) in estimates.into_iter().enumerate() {
        let mask = (mask >> (16 * i)) as u16;
        let rows = match rows.after(16 * i) {
            Rows::From(first) => _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32)),
            // SAFETY: 16 rows of the block.
            Rows::Listed(rows) => unsafe { _mm512_loadu_si512(rows.cast()) },
        };
        // As `select::pack`: whatever is negative is turned over, what is not is put above it.
        let bits = _mm512_castps_si512(_mm512_add_ps(estimate, _mm512_setzero_ps()));
        let turned = _mm512_or_si512(_mm512_srai_epi32::<31>(bits), _mm512_set1_epi32(i32::MIN));
        let high = _mm512_maskz_compress_epi32(mask, _mm512_xor_si512(bits, turned));
        let low = _mm512_maskz_compress_epi32(mask, _mm512_xor_si512(rows, _mm512_set1_epi32(-1)));
        let at = room.wrapping_add(taken);
        // SAFETY: there is room for a block, and of each part before at most 16 were taken.
        unsafe {
            _mm512_storeu_si512(at.cast(), _mm512_permutex2var_epi32(low, first, high));
            _mm512_storeu_si512(at.wrapping_add(8).cast(), _mm512_permutex2var_epi32(low, second, high));
        }
        taken += mask.count_ones() as usize;
    }
    // SAFETY: so many entries were written.
    unsafe { sink.take(taken) };
}
