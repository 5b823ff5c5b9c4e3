//! Integer dot products of four int8 rows with one int8 query: exact.
//!
//! The rows may lie anywhere, as the neighbours of a node do. A row has at most 8,192 elements, so
//! a sum is at most 128 * 128 * 8192 = 2^27 in magnitude.

use crate::dispatch::{Isa, pick};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Rows of a call.
pub const ROWS: usize = 4;
/// Dot products of the `d` elements at each of `rows` with those at `q`.
pub type DotRows = unsafe fn(rows: &[*const i8; ROWS], q: *const i8, d: usize) -> [i32; ROWS];

/// Every variant, best first.
pub const VARIANTS: &[(Isa, DotRows)] = &[
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

/// The variant on the instruction set in force.
pub fn dot_rows() -> DotRows {
    pick(VARIANTS, dot_scalar)
}

/// The plain definition.
///
/// # Safety
/// `d` elements can be read at each pointer.
unsafe fn dot_scalar(rows: &[*const i8; ROWS], q: *const i8, d: usize) -> [i32; ROWS] {
    // SAFETY: the caller's guarantee.
    rows.map(|row| unsafe { tail(row, q, 0, d) })
}

/// The sum over elements `from..d`.
///
/// # Safety
/// `d` elements can be read at both pointers.
#[inline(always)]
unsafe fn tail(row: *const i8, q: *const i8, from: usize, d: usize) -> i32 {
    let mut sum = 0i32;
    for i in from..d {
        // SAFETY: `i < d`.
        let (x, q) = unsafe { (row.add(i).read(), q.add(i).read()) };
        sum = sum.wrapping_add(i32::from(x) * i32::from(q));
    }
    sum
}

/// `vpdpbusd` multiplies u8 by i8. Flipping the top bit of `x` adds 128 to it, so 128 times the
/// sum of the query is subtracted afterwards.
///
/// # Safety
/// As [`dot_scalar`], on a CPU with AVX-512 and VNNI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn dot_vnni(rows: &[*const i8; ROWS], q: *const i8, d: usize) -> [i32; ROWS] {
    let top = _mm512_set1_epi8(-128);
    let mut sums = [_mm512_setzero_si512(); ROWS];
    let mut excess = _mm512_setzero_si512();
    let whole = d - d % 64;
    let mut i = 0;
    while i < whole {
        // SAFETY: 64 elements from `i` on are below `d`.
        unsafe {
            let q = _mm512_loadu_si512(q.add(i).cast());
            excess = _mm512_dpbusd_epi32(excess, top, q);
            for (sum, row) in sums.iter_mut().zip(rows) {
                let x = _mm512_xor_si512(_mm512_loadu_si512(row.add(i).cast()), top);
                *sum = _mm512_dpbusd_epi32(*sum, x, q);
            }
        }
        i += 64;
    }
    if whole < d {
        let mask = (1u64 << (d - whole)) - 1;
        // SAFETY: the mask has the elements below `d` only.
        unsafe {
            let q = _mm512_maskz_loadu_epi8(mask, q.add(whole));
            excess = _mm512_dpbusd_epi32(excess, top, q);
            for (sum, row) in sums.iter_mut().zip(rows) {
                let x = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, row.add(whole)), top);
                *sum = _mm512_dpbusd_epi32(*sum, x, q);
            }
        }
    }
    totals(sums.map(|sum| halves(_mm512_sub_epi32(sum, excess))))
}

/// # Safety
/// As [`dot_scalar`], on a CPU with AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn dot_avx512(rows: &[*const i8; ROWS], q: *const i8, d: usize) -> [i32; ROWS] {
    let mut sums = [_mm512_setzero_si512(); ROWS];
    let mut i = 0;
    while i < d {
        let mask = if d - i < 32 { (1u32 << (d - i)) - 1 } else { u32::MAX };
        // SAFETY: the mask has the elements below `d` only.
        unsafe {
            let q = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, q.add(i)));
            for (sum, row) in sums.iter_mut().zip(rows) {
                let x = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, row.add(i)));
                *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(x, q));
            }
        }
        i += 32;
    }
    totals(sums.map(|sum| halves(sum)))
}

/// # Safety
/// As [`dot_scalar`], on a CPU with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn dot_avx2(rows: &[*const i8; ROWS], q: *const i8, d: usize) -> [i32; ROWS] {
    let mut sums = [_mm256_setzero_si256(); ROWS];
    let whole = d - d % 16;
    let mut i = 0;
    while i < whole {
        // SAFETY: 16 elements from `i` on are below `d`.
        unsafe {
            let q = _mm256_cvtepi8_epi16(_mm_loadu_si128(q.add(i).cast()));
            for (sum, row) in sums.iter_mut().zip(rows) {
                let x = _mm256_cvtepi8_epi16(_mm_loadu_si128(row.add(i).cast()));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, q));
            }
        }
        i += 16;
    }
    let mut out = totals(sums);
    for (out, row) in out.iter_mut().zip(rows) {
        // SAFETY: the caller's guarantee.
        *out = out.wrapping_add(unsafe { tail(*row, q, whole, d) });
    }
    out
}

/// The two halves added.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn halves(v: __m512i) -> __m256i {
    _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v))
}

/// Sum of the eight lanes of each.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn totals([a, b, c, d]: [__m256i; ROWS]) -> [i32; ROWS] {
    let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let all = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
    let mut out = [0; ROWS];
    // SAFETY: `out` is 16 bytes.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), all) };
    out
}

/// # Safety
/// As [`dot_scalar`]; NEON is part of every AArch64 target.
#[cfg(target_arch = "aarch64")]
unsafe fn dot_neon(rows: &[*const i8; ROWS], q: *const i8, d: usize) -> [i32; ROWS] {
    use std::arch::aarch64::*;
    let whole = d - d % 8;
    // SAFETY: 8 elements from each `i` on are below `d`, then `d - whole` are left.
    unsafe {
        let mut sums = [vdupq_n_s32(0); ROWS];
        let mut i = 0;
        while i < whole {
            let q = vld1_s8(q.add(i));
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum = vpadalq_s16(*sum, vmull_s8(vld1_s8(row.add(i)), q));
            }
            i += 8;
        }
        let mut out = sums.map(|sum| vaddvq_s32(sum));
        for (out, row) in out.iter_mut().zip(rows) {
            *out = out.wrapping_add(tail(*row, q, whole, d));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::bytes;
    use crate::plan::MAX_DIMENSIONS;

    fn check(rows: [&[i8]; ROWS], q: &[i8]) {
        let dot = |x: &[i8]| x.iter().zip(q).map(|(x, q)| i32::from(*x) * i32::from(*q)).sum::<i32>();
        let expected = rows.map(dot);
        for (isa, kernel) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
            // SAFETY: the CPU has `isa`, and the rows are as long as the query.
            let got = unsafe { kernel(&rows.map(<[i8]>::as_ptr), q.as_ptr(), q.len()) };
            assert_eq!(got, expected, "{isa:?} {}", q.len());
        }
    }

    #[test]
    fn every_variant_is_exact_at_every_length_and_alignment() {
        let all: Vec<i8> = bytes(1, 9000).into_iter().map(|byte| byte as i8).collect();
        for d in (0..=140).chain([384, 1000, 1536, 2000]) {
            let rows = [0, 1, 2, 3].map(|row| &all[row * 2001 + d % 7 + row..][..d]);
            check(rows, &all[d % 5 + 17..][..d]);
        }
    }

    #[test]
    fn the_largest_sums_do_not_saturate() {
        let (low, high) = (vec![i8::MIN; MAX_DIMENSIONS], vec![i8::MAX; MAX_DIMENSIONS]);
        check([&low, &high, &low, &high], &low);
        check([&low, &high, &low, &high], &high);
    }
}
