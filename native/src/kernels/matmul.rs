//! `c[m x n] = a[m x k] b[k x n]`, row-major f32, with the same bits everywhere.
//!
//! Each element of `c` is `0 + a*b + a*b + ...` over k in order, every product and every sum
//! rounded: lanes run over columns, so no width of vector changes an order of addition, and a
//! partial sum that waits in `c` between two blocks of k loses nothing.

#[cfg(target_arch = "aarch64")]
use super::lanes::Neon;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Scalar};
use crate::dispatch::{Isa, pick};
use std::mem::MaybeUninit;
use std::ptr;

/// `c[m x n] = a[m x k] b[k x n]`; `c` overlaps neither `a` nor `b`.
pub type Matmul = unsafe fn(a: *const f32, b: *const f32, c: *mut f32, m: usize, k: usize, n: usize);

/// Every variant, best first.
pub const VARIANTS: &[(Isa, Matmul)] = &[
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx512bw, avx512),
    #[cfg(target_arch = "x86_64")]
    (Isa::Avx2, avx2),
    #[cfg(target_arch = "aarch64")]
    (Isa::Neon, product::<Neon, 4, 4, 16>),
    (Isa::Scalar, product::<Scalar, 4, 2, 8>),
];

/// The variant on the instruction set in force.
pub fn matmul() -> Matmul {
    pick(VARIANTS, product::<Scalar, 4, 2, 8>)
}

/// # Safety
/// As [`product`], on a CPU with AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn avx512(a: *const f32, b: *const f32, c: *mut f32, m: usize, k: usize, n: usize) {
    // SAFETY: the caller's guarantee; this function enables what `Avx512` needs.
    unsafe { product::<Avx512, 6, 4, 16>(a, b, c, m, k, n) }
}

/// # Safety
/// As [`product`], on a CPU with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2(a: *const f32, b: *const f32, c: *mut f32, m: usize, k: usize, n: usize) {
    // SAFETY: the caller's guarantee; this function enables what `Avx2` needs.
    unsafe { product::<Avx2, 6, 2, 8>(a, b, c, m, k, n) }
}

/// Elements of a packed panel: 16 KiB, half of the smallest first-level cache.
const PANEL: usize = 4096;

/// Rows that meet one packed panel after the other: their part of `a` stays in the second-level
/// cache from panel to panel, and a panel is packed seldom enough to cost about a hundredth. A
/// multiple of the rows of every tile.
const ROW_BLOCK: usize = 240;

/// A block of k of one panel of columns, contiguous so that it stays in the first-level cache.
#[repr(align(64))]
struct Panel(MaybeUninit<[f32; PANEL]>);

/// A matrix by its first element and the distance of its rows.
#[derive(Clone, Copy)]
struct Rows<P> {
    at: P,
    stride: usize,
}

/// Tiles of `ROWS` rows by `COLUMNS` vectors for the rows that fill a tile, then rows one by
/// one, `WIDE` vectors of columns at a time.
///
/// # Safety
/// The CPU has `L`; `m k` elements can be read at `a`, `k n` at `b` and `m n` written at `c`,
/// which overlaps neither.
#[inline(always)]
unsafe fn product<L: Lanes, const ROWS: usize, const COLUMNS: usize, const WIDE: usize>(
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    m: usize,
    k: usize,
    n: usize,
) {
    const { assert!(ROW_BLOCK.is_multiple_of(ROWS)) }
    let tiled = m - m % ROWS;
    // SAFETY: rows `0..tiled` and `tiled..m` are rows of `a` and `c`.
    unsafe {
        for row in (0..tiled).step_by(ROW_BLOCK) {
            let rows = ROW_BLOCK.min(tiled - row);
            tiles::<L, ROWS, COLUMNS>(a.add(row * k), b, c.add(row * n), rows, k, n);
        }
        for row in tiled..m {
            let (a, c) = (Rows { at: a.add(row * k), stride: k }, c.add(row * n));
            for column in (0..n).step_by(WIDE * L::WIDTH) {
                let b = Rows { at: b.add(column), stride: n };
                let c = Rows { at: c.add(column), stride: n };
                tile::<L, 1, WIDE>(a, b, c, k, n - column, true);
            }
        }
    }
}

/// The whole tiles. Panels of columns are outermost, so that a panel is packed once and then
/// met by every row.
///
/// # Safety
/// As [`product`]; `ROWS` divides `m`.
#[inline(always)]
unsafe fn tiles<L: Lanes, const ROWS: usize, const COLUMNS: usize>(
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    m: usize,
    k: usize,
    n: usize,
) {
    let width = COLUMNS * L::WIDTH;
    let depth = PANEL / width;
    let mut panel = Panel(MaybeUninit::uninit());
    let packed = Rows { at: panel.0.as_mut_ptr().cast::<f32>(), stride: width };
    for column in (0..n).step_by(width) {
        let columns = width.min(n - column);
        // One block even when k is 0: it stores the zeros.
        for from in (0..k.max(1)).step_by(depth) {
            let k_block = depth.min(k - from);
            for row in 0..k_block {
                // SAFETY: `columns` elements of row `from + row` of `b`, into row `row < depth`
                // of the panel, which is ours.
                unsafe {
                    let b = b.add((from + row) * n + column);
                    ptr::copy_nonoverlapping(b, packed.at.add(row * width), columns);
                }
            }
            let packed = Rows { at: packed.at.cast_const(), stride: width };
            for row in (0..m).step_by(ROWS) {
                // SAFETY: `ROWS` rows from `row` on are rows of `a` and of `c`; `k_block` rows
                // of the panel have `columns` elements.
                unsafe {
                    let a = Rows { at: a.add(row * k + from), stride: k };
                    let c = Rows { at: c.add(row * n + column), stride: n };
                    tile::<L, ROWS, COLUMNS>(a, packed, c, k_block, columns, from == 0);
                }
            }
        }
    }
}

/// One tile of `c`: `ROWS` rows by `columns`, at most `COLUMNS` vectors; zeroed before when
/// `first`, else added to.
///
/// # Safety
/// The CPU has `L`; `a` has `ROWS` rows of `k`, `b` has `k` rows of `columns`, `c` has `ROWS`
/// rows of `columns`.
#[inline(always)]
unsafe fn tile<L: Lanes, const ROWS: usize, const COLUMNS: usize>(
    a: Rows<*const f32>,
    b: Rows<*const f32>,
    c: Rows<*mut f32>,
    k: usize,
    columns: usize,
    first: bool,
) {
    // SAFETY: the caller's guarantee, passed on.
    unsafe {
        if columns >= COLUMNS * L::WIDTH {
            accumulate::<L, ROWS, COLUMNS, true>(a, b, c, k, columns, first);
        } else {
            accumulate::<L, ROWS, COLUMNS, false>(a, b, c, k, columns, first);
        }
    }
}

/// [`tile`] with all its columns (`WHOLE`), or cut at `columns`.
///
/// # Safety
/// As [`tile`]; `WHOLE` only when all columns are there.
#[inline(always)]
unsafe fn accumulate<L: Lanes, const ROWS: usize, const COLUMNS: usize, const WHOLE: bool>(
    a: Rows<*const f32>,
    b: Rows<*const f32>,
    c: Rows<*mut f32>,
    k: usize,
    columns: usize,
    first: bool,
) {
    let left = |vector: usize| columns.saturating_sub(vector * L::WIDTH).min(L::WIDTH);
    let load = |row: *const f32, vector: usize| {
        let at = row.wrapping_add(vector * L::WIDTH);
        // SAFETY: the vector lies before `columns`, all of it or the part that is left.
        unsafe { if WHOLE { L::load(at) } else { L::load_part(at, left(vector)) } }
    };
    // SAFETY: rows below `ROWS` of `a` and `c`, and below `k` of `b`.
    unsafe {
        let mut sums = [[L::zero(); COLUMNS]; ROWS];
        if !first {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    *sum = load(c.at.add(row * c.stride), vector);
                }
            }
        }
        for step in 0..k {
            let mut line = [L::zero(); COLUMNS];
            for (vector, value) in line.iter_mut().enumerate() {
                *value = load(b.at.add(step * b.stride), vector);
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = L::splat(a.at.add(row * a.stride + step).read());
                for (sum, value) in sums.iter_mut().zip(line) {
                    *sum = L::add(*sum, L::mul(factor, value));
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                let at = c.at.add(row * c.stride).wrapping_add(vector * L::WIDTH);
                if WHOLE { L::store(at, sum) } else { L::store_part(at, left(vector), sum) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    /// The definition, element by element.
    fn naive(a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Vec<f32> {
        let element = |i: usize, j: usize| (0..k).fold(0.0, |sum, p| sum + a[i * k + p] * b[p * n + j]);
        (0..m * n).map(|at| element(at / n, at % n)).collect()
    }

    fn check(m: usize, k: usize, n: usize) {
        let (a, b) = (floats(1, m * k + 1), floats(2, k * n + 1));
        // One element in, so that nothing is aligned to a vector.
        let expected = naive(&a[1..], &b[1..], m, k, n);
        for (isa, matmul) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
            let mut c = vec![f32::NAN; m * n + 2];
            // SAFETY: the CPU has `isa`, and the arrays have those shapes.
            unsafe { matmul(a[1..].as_ptr(), b[1..].as_ptr(), c[1..].as_mut_ptr(), m, k, n) };
            assert!(c[0].is_nan() && c[m * n + 1].is_nan(), "{isa:?} {m} x {k} x {n} wrote outside");
            let same = c[1..=m * n].iter().zip(&expected).all(|(c, e)| c.to_bits() == e.to_bits());
            assert!(same, "{isa:?} {m} x {k} x {n}");
        }
    }

    #[test]
    fn every_variant_gives_the_bits_of_the_definition() {
        for m in [1, 2, 4, 7, 8, 9, 17] {
            for k in [0, 1, 5, 127, 128, 129, 300] {
                for n in [1, 7, 16, 31, 32, 33, 70, 256, 290] {
                    check(m, k, n);
                }
            }
        }
    }

    #[test]
    fn blocks_of_rows_and_of_k_join_without_a_seam() {
        check(ROW_BLOCK + 13, 140, 40);
        check(3, 8192, 40);
        check(16, 1000, 256);
    }

    #[test]
    fn an_empty_product_is_empty_and_an_empty_sum_is_zero() {
        check(0, 3, 3);
        check(3, 3, 0);
        check(9, 0, 40);
    }
}
