//! The nearest of the centroids of a subspace, from the products of a point with all of them.

use super::per_isa::per_isa;
use crate::dispatch::pick;

/// Index of the largest `products[c] - halves[c]` of `n`, the first of equal ones; 0 when none is a number.
/// That is the least `|x - c|^2` when `products` are `<x, c>` and `halves` are `|c|^2 / 2`.
pub type Nearest = unsafe fn(products: *const f32, halves: *const f32, n: usize) -> usize;

per_isa! {
    /// Every variant, best first.
    VARIANTS: Nearest = fn(products: *const f32, halves: *const f32, n: usize) -> usize;
    avx512 first_largest, avx2 first_largest, neon first_largest, scalar first_largest
}

/// The variant on the instruction set in force.
pub fn nearest() -> Nearest {
    pick(VARIANTS, first_largest)
}

/// Lanes that the largest is sought in: a multiple of every vector's.
const LANES: usize = 64;

/// # Safety
/// `n` elements can be read at `products` and at `halves`.
#[inline(always)]
unsafe fn first_largest(products: *const f32, halves: *const f32, n: usize) -> usize {
    // SAFETY: both have `n` elements, by the caller's promise, and nobody writes them meanwhile but for a
    // codebook's own maker, which is done.
    let score = |c: usize| unsafe { products.add(c).read() - halves.add(c).read() };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let whole = n - n % LANES;
    for from in (0..whole).step_by(LANES) {
        for (lane, largest) in lanes.iter_mut().enumerate() {
            let score = score(from + lane);
            *largest = if score > *largest { score } else { *largest };
        }
    }
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let largest = (whole..n).map(score).fold(lanes.into_iter().fold(f32::NEG_INFINITY, larger), larger);
    if largest == f32::NEG_INFINITY {
        return 0;
    }
    for from in (0..whole).step_by(LANES) {
        if (from..from + LANES).fold(false, |found, c| found | (score(c) == largest)) {
            return (from..from + LANES).find(|c| score(*c) == largest).unwrap_or(0);
        }
    }
    (whole..n).find(|c| score(*c) == largest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    #[test]
    fn every_variant_finds_the_first_of_the_largest() {
        for n in [0, 1, 15, 16, 17, 64, 100, 256] {
            for seed in 0..20 {
                // Few values, so that many are equal.
                let coarse = |seed: u64| -> Vec<f32> { floats(seed, n).iter().map(|x| (x * 3.0).round()).collect() };
                let (mut products, halves) = (coarse(seed), coarse(seed + 100));
                products.iter_mut().skip(seed as usize).step_by(7).for_each(|x| *x = f32::NAN);
                if seed == 0 {
                    products.fill(f32::NEG_INFINITY);
                }
                let mut expected = (0, f32::NEG_INFINITY);
                for (c, (product, half)) in products.iter().zip(&halves).enumerate() {
                    if product - half > expected.1 {
                        expected = (c, product - half);
                    }
                }
                for (isa, kernel) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
                    // SAFETY: the CPU has `isa`, and both have `n` elements.
                    let found = unsafe { kernel(products.as_ptr(), halves.as_ptr(), n) };
                    assert_eq!(found, expected.0, "{isa:?} {n} {seed}");
                }
            }
        }
    }
}
