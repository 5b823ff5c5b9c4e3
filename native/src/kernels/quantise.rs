//! f32 to int8 steps and back, one scale a row.

use super::magnitude::{Magnitude, magnitude};
use super::per_isa::per_isa;
use crate::dispatch::pick;

/// Steps on each side of zero that a component has.
const STEPS: f32 = 127.0;

/// `to[i]` = the integer nearest to `from[i] * inverse`, ties to even, within -127..=127.
pub type Quantise = unsafe fn(from: *const f32, inverse: f32, to: *mut i8, d: usize);
/// `to[i] = from[i] * scale`, rounded.
pub type Dequantise = unsafe fn(from: *const i8, scale: f32, to: *mut f32, d: usize);

per_isa! {
    /// f32 to int8.
    VARIANTS: Quantise = fn(from: *const f32, inverse: f32, to: *mut i8, d: usize);
    avx512 to_steps, avx2 to_steps, neon to_steps, scalar to_steps
}

per_isa! {
    /// int8 to f32.
    VARIANTS_BACK: Dequantise = fn(from: *const i8, scale: f32, to: *mut f32, d: usize);
    avx512 from_steps, avx2 from_steps, neon from_steps, scalar from_steps
}

/// Vectors in steps of their own, on the instruction set in force.
#[derive(Clone, Copy)]
pub struct Steps {
    magnitude: Magnitude,
    quantise: Quantise,
}

impl Steps {
    /// The kernels in force.
    pub fn pick() -> Self {
        Steps { magnitude: magnitude(), quantise: pick(VARIANTS, to_steps) }
    }

    /// Writes the elements at `from` in steps of which the largest has 127; what a step is worth.
    ///
    /// # Safety
    /// `d` elements can be read at `from` and written at `to`, which do not overlap.
    #[inline(always)]
    pub unsafe fn write(self, from: *const f32, to: *mut i8, d: usize) -> f32 {
        // SAFETY: the caller's promise; the kernels were picked for this CPU.
        unsafe {
            let largest = f32::from_bits((self.magnitude)(from, d));
            (self.quantise)(from, STEPS / largest, to, d);
            largest / STEPS
        }
    }
}

/// int8 to f32 on the instruction set in force.
pub fn dequantise() -> Dequantise {
    pick(VARIANTS_BACK, from_steps)
}

/// # Safety
/// `d` elements can be read at `from` and written at `to`, which do not overlap.
#[inline(always)]
unsafe fn to_steps(from: *const f32, inverse: f32, to: *mut i8, d: usize) {
    for i in 0..d {
        // A row of subnormals overflows `inverse` and a row of zeros makes it infinite: the clamp bounds the first, and
        // the second's NaN is 0.
        // SAFETY: `i < d`, and what is converted is in the range of an i32. A conversion that asks that of each element
        // takes one element at a time.
        unsafe {
            let steps = (from.add(i).read_unaligned() * inverse).round_ties_even();
            let bounded = if steps.is_nan() { 0.0 } else { steps.clamp(-127.0, 127.0) };
            to.add(i).write(bounded.to_int_unchecked::<i32>() as i8);
        }
    }
}

/// # Safety
/// `d` elements can be read at `from` and written at `to`, which do not overlap.
#[inline(always)]
unsafe fn from_steps(from: *const i8, scale: f32, to: *mut f32, d: usize) {
    for i in 0..d {
        // SAFETY: `i < d`.
        unsafe { to.add(i).write_unaligned(f32::from(from.add(i).read()) * scale) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    fn quantised(from: &[f32], inverse: f32) -> Vec<Vec<i8>> {
        let run = |kernel: Quantise| {
            let mut to = vec![0; from.len()];
            // SAFETY: the CPU has the variant, and both have as many elements.
            unsafe { kernel(from.as_ptr(), inverse, to.as_mut_ptr(), from.len()) };
            to
        };
        VARIANTS.iter().filter(|(isa, _)| isa.available()).map(|(_, kernel)| run(*kernel)).collect()
    }

    #[test]
    fn every_variant_rounds_as_the_definition_and_comes_back_within_half_a_step() {
        for d in (0..100).chain([384, 1001]) {
            let x = floats(d as u64, d);
            let largest = x.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            let (scale, inverse) = (largest / 127.0, 127.0 / largest);
            let expected: Vec<i8> = x.iter().map(|x| (x * inverse).round_ties_even() as i8).collect();
            assert!(quantised(&x, inverse).into_iter().all(|got| got == expected), "{d}");
            for (isa, kernel) in VARIANTS_BACK.iter().filter(|(isa, _)| isa.available()) {
                let mut back = vec![0.0; d];
                // SAFETY: the CPU has `isa`, and both have `d` elements.
                unsafe { kernel(expected.as_ptr(), scale, back.as_mut_ptr(), d) };
                assert!(back.iter().zip(&expected).all(|(back, q)| *back == f32::from(*q) * scale), "{isa:?} {d}");
                assert!(back.iter().zip(&x).all(|(back, x)| (back - x).abs() <= scale * 0.5001), "{isa:?} {d}");
            }
        }
    }

    #[test]
    fn ties_go_to_the_even_step_and_no_step_is_beyond_127() {
        let from = [0.5, 1.5, 2.5, -0.5, -1.5, 126.5, -127.5, 1000.0, f32::NEG_INFINITY];
        let expected = [0, 2, 2, 0, -2, 126, -127, 127, -127];
        assert!(quantised(&from, 1.0).into_iter().all(|got| got == expected));
        assert!(quantised(&[0.0; 9], f32::INFINITY).into_iter().all(|got| got == [0; 9]));
    }
}
