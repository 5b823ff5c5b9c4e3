//! Integer dot products of an int8 row with the two halves of a 15-bit query: exact.
//!
//! A row has at most 8,192 elements, so a sum is at most 128 * 128 * 8192 = 2^27 in magnitude.

use crate::dispatch::{Isa, pick};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Dot products of the `d` elements at `x` with those at `hi` and at `lo`.
pub type DotI8 = unsafe fn(x: *const i8, hi: *const i8, lo: *const i8, d: usize) -> (i32, i32);
/// Sum of the squares of the `d` elements at `x`.
pub type SumSquares = unsafe fn(x: *const i8, d: usize) -> i32;

/// The dot products.
pub const VARIANTS: &[(Isa, DotI8)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512vnni, dot_vnni),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, dot_avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, dot_avx2),
    #[cfg(target_arch = "aarch64")]
    (Isa::Neon, dot_neon),
    (Isa::Scalar, dot_scalar),
];

/// The sums of squares.
pub const VARIANTS_SQUARES: &[(Isa, SumSquares)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, squares_avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, squares_avx2),
    (Isa::Scalar, squares_scalar),
];

/// The dot products on the instruction set in force.
pub fn dot() -> DotI8 {
    pick(VARIANTS, dot_scalar)
}

/// The sum of squares on the instruction set in force.
pub fn sum_squares() -> SumSquares {
    pick(VARIANTS_SQUARES, squares_scalar)
}

/// The plain definition, which also ends the rows that a vector does not divide.
///
/// # Safety
/// `d` elements can be read at each pointer.
#[inline(always)]
unsafe fn dot_scalar(x: *const i8, hi: *const i8, lo: *const i8, d: usize) -> (i32, i32) {
    let (mut high, mut low) = (0i32, 0i32);
    for i in 0..d {
        // SAFETY: `i < d`.
        let (x, hi, lo) = unsafe { (x.add(i).read(), hi.add(i).read(), lo.add(i).read()) };
        high = high.wrapping_add(i32::from(x) * i32::from(hi));
        low = low.wrapping_add(i32::from(x) * i32::from(lo));
    }
    (high, low)
}

/// # Safety
/// `d` elements can be read at `x`.
#[inline(always)]
unsafe fn squares_scalar(x: *const i8, d: usize) -> i32 {
    let mut sum = 0i32;
    for i in 0..d {
        // SAFETY: `i < d`.
        let x = i32::from(unsafe { x.add(i).read() });
        sum = sum.wrapping_add(x * x);
    }
    sum
}

/// # Safety
/// As [`squares_scalar`], on a CPU with AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn squares_avx512(x: *const i8, d: usize) -> i32 {
    // SAFETY: the caller's guarantee.
    unsafe { squares_scalar(x, d) }
}

/// # Safety
/// As [`squares_scalar`], on a CPU with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn squares_avx2(x: *const i8, d: usize) -> i32 {
    // SAFETY: the caller's guarantee.
    unsafe { squares_scalar(x, d) }
}

/// `vpdpbusd` multiplies u8 by i8. Flipping the top bit of `x` adds 128 to it, so 128 times the
/// sum of the query is subtracted afterwards.
///
/// # Safety
/// As [`dot_scalar`], on a CPU with AVX-512 and VNNI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn dot_vnni(x: *const i8, hi: *const i8, lo: *const i8, d: usize) -> (i32, i32) {
    let top = _mm512_set1_epi8(-128);
    let [mut high, mut low, mut high_sum, mut low_sum] = [_mm512_setzero_si512(); 4];
    let mut i = 0;
    while i < d {
        let mask = if d - i < 64 { (1u64 << (d - i)) - 1 } else { u64::MAX };
        // SAFETY: the mask has the elements below `d` only.
        let (x, hi, lo) = unsafe {
            (
                _mm512_maskz_loadu_epi8(mask, x.add(i)),
                _mm512_maskz_loadu_epi8(mask, hi.add(i)),
                _mm512_maskz_loadu_epi8(mask, lo.add(i)),
            )
        };
        let x = _mm512_xor_si512(x, top);
        high = _mm512_dpbusd_epi32(high, x, hi);
        low = _mm512_dpbusd_epi32(low, x, lo);
        high_sum = _mm512_dpbusd_epi32(high_sum, top, hi);
        low_sum = _mm512_dpbusd_epi32(low_sum, top, lo);
        i += 64;
    }
    (_mm512_reduce_add_epi32(_mm512_sub_epi32(high, high_sum)), _mm512_reduce_add_epi32(_mm512_sub_epi32(low, low_sum)))
}

/// # Safety
/// As [`dot_scalar`], on a CPU with AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn dot_avx512(x: *const i8, hi: *const i8, lo: *const i8, d: usize) -> (i32, i32) {
    let [mut high, mut low] = [_mm512_setzero_si512(); 2];
    let mut i = 0;
    while i < d {
        let mask = if d - i < 32 { (1u32 << (d - i)) - 1 } else { u32::MAX };
        // SAFETY: the mask has the elements below `d` only.
        let (x, hi, lo) = unsafe {
            (
                _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, x.add(i))),
                _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, hi.add(i))),
                _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, lo.add(i))),
            )
        };
        high = _mm512_add_epi32(high, _mm512_madd_epi16(x, hi));
        low = _mm512_add_epi32(low, _mm512_madd_epi16(x, lo));
        i += 32;
    }
    (_mm512_reduce_add_epi32(high), _mm512_reduce_add_epi32(low))
}

/// # Safety
/// As [`dot_scalar`], on a CPU with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn dot_avx2(x: *const i8, hi: *const i8, lo: *const i8, d: usize) -> (i32, i32) {
    let [mut high, mut low] = [_mm256_setzero_si256(); 2];
    let whole = d - d % 16;
    let mut i = 0;
    while i < whole {
        // SAFETY: 16 elements from `i` on are below `d`.
        let (x, hi, lo) = unsafe {
            (
                _mm256_cvtepi8_epi16(_mm_loadu_si128(x.add(i).cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(hi.add(i).cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(lo.add(i).cast())),
            )
        };
        high = _mm256_add_epi32(high, _mm256_madd_epi16(x, hi));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(x, lo));
        i += 16;
    }
    // SAFETY: `d - whole` elements are left at each pointer.
    let tail = unsafe { dot_scalar(x.add(whole), hi.add(whole), lo.add(whole), d - whole) };
    (sum_avx2(high).wrapping_add(tail.0), sum_avx2(low).wrapping_add(tail.1))
}

/// Sum of the eight lanes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(v: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b1110>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two)))
}

/// # Safety
/// As [`dot_scalar`]; NEON is part of every AArch64 target.
#[cfg(target_arch = "aarch64")]
unsafe fn dot_neon(x: *const i8, hi: *const i8, lo: *const i8, d: usize) -> (i32, i32) {
    use std::arch::aarch64::*;
    let whole = d - d % 8;
    // SAFETY: 8 elements from each `i` on are below `d`, then `d - whole` are left.
    unsafe {
        let [mut high, mut low] = [vdupq_n_s32(0); 2];
        let mut i = 0;
        while i < whole {
            let x = vld1_s8(x.add(i));
            high = vpadalq_s16(high, vmull_s8(x, vld1_s8(hi.add(i))));
            low = vpadalq_s16(low, vmull_s8(x, vld1_s8(lo.add(i))));
            i += 8;
        }
        let tail = dot_scalar(x.add(whole), hi.add(whole), lo.add(whole), d - whole);
        (vaddvq_s32(high).wrapping_add(tail.0), vaddvq_s32(low).wrapping_add(tail.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::bytes;
    use crate::plan::MAX_DIMENSIONS;

    fn check(x: &[i8], hi: &[i8], lo: &[i8]) {
        let dot = |q: &[i8]| x.iter().zip(q).map(|(x, q)| i32::from(*x) * i32::from(*q)).sum::<i32>();
        let (expected, squares) = ((dot(hi), dot(lo)), dot(x));
        for (isa, kernel) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
            // SAFETY: the CPU has `isa`, and the three have `x.len()` elements.
            let got = unsafe { kernel(x.as_ptr(), hi.as_ptr(), lo.as_ptr(), x.len()) };
            assert_eq!(got, expected, "{isa:?} {}", x.len());
        }
        for (isa, kernel) in VARIANTS_SQUARES.iter().filter(|(isa, _)| isa.available()) {
            // SAFETY: the CPU has `isa`, and `x` has its length.
            assert_eq!(unsafe { kernel(x.as_ptr(), x.len()) }, squares, "{isa:?} {}", x.len());
        }
    }

    #[test]
    fn every_variant_is_exact_at_every_length_and_alignment() {
        let signed = |seed| bytes(seed, 3000).into_iter().map(|byte| byte as i8).collect::<Vec<_>>();
        let (x, hi, lo) = (signed(1), signed(2), signed(3));
        for d in (0..=100).chain([384, 1000, 1536, 2990]) {
            check(&x[d % 7..][..d], &hi[d % 5..][..d], &lo[d % 3..][..d]);
        }
    }

    #[test]
    fn the_largest_sums_do_not_saturate() {
        let (low, high) = (vec![i8::MIN; MAX_DIMENSIONS], vec![i8::MAX; MAX_DIMENSIONS]);
        check(&low, &low, &high);
        check(&high, &high, &low);
    }
}
