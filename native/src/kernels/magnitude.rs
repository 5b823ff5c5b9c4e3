//! Largest magnitude of a row, as bits: f32 magnitudes order as their bits do, infinity above
//! every finite value and NaN above infinity, so one integer maximum finds them all.

use super::per_isa::per_isa;
use crate::dispatch::pick;

/// Bits of the largest magnitude of the `d` elements at `x`, 0 when `d` is 0.
pub type Magnitude = unsafe fn(x: *const f32, d: usize) -> u32;

per_isa! {
    /// Every variant, best first.
    VARIANTS: Magnitude = fn(x: *const f32, d: usize) -> u32;
    avx512 largest, avx2 largest, neon largest, scalar largest
}

/// The variant on the instruction set in force.
pub fn magnitude() -> Magnitude {
    pick(VARIANTS, largest)
}

/// # Safety
/// `d` elements can be read at `x`.
#[inline(always)]
unsafe fn largest(x: *const f32, d: usize) -> u32 {
    let mut largest = 0i32;
    for i in 0..d {
        // Without the sign bit a signed maximum is an unsigned one, and every CPU has it.
        // SAFETY: `i < d`.
        largest = largest.max(unsafe { x.add(i).cast::<i32>().read_unaligned() } & i32::MAX);
    }
    largest as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    #[test]
    fn every_variant_finds_the_largest_wherever_it_is() {
        for d in 0..100 {
            let mut x = floats(d as u64, d + 1);
            for (at, special) in [-1e30, f32::NEG_INFINITY, f32::NAN].into_iter().enumerate() {
                if let Some(element) = x[1..].get_mut(at * 31) {
                    *element = special;
                }
                let expected = x[1..].iter().map(|x| x.abs().to_bits()).max().unwrap_or(0);
                for (isa, kernel) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
                    // SAFETY: the CPU has `isa`, and `d` elements are there.
                    assert_eq!(unsafe { kernel(x[1..].as_ptr(), d) }, expected, "{isa:?} {d}");
                }
            }
        }
    }
}
