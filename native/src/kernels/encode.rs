//! A projected residual to its code: 256 sign bits, and the sums its factor is made of.

#[cfg(target_arch = "aarch64")]
use super::lanes::Neon;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Scalar};
use super::per_isa::per_isa;
use crate::dispatch::pick;
use crate::plan::{CODE_BITS, CODE_BYTES};

/// Writes bit `m` of `code`, least significant first, as `v[m] >= 0` for the 256 elements at
/// `v`; returns the sums of `|v[m]|` and of `v[m] * v[m]`.
pub type Encode = unsafe fn(v: *const f32, code: &mut [u8; CODE_BYTES]) -> (f32, f32);

per_isa! {
    /// Every variant, best first.
    VARIANTS: Encode = fn(v: *const f32, code: &mut [u8; CODE_BYTES]) -> (f32, f32);
    avx512 signs_and_sums::<Avx512>, avx2 signs_and_sums::<Avx2>, neon signs_and_sums::<Neon>,
    scalar signs_and_sums::<Scalar>
}

/// The variant on the instruction set in force.
pub fn encode() -> Encode {
    pick(VARIANTS, signs_and_sums::<Scalar>)
}

/// Lanes of a sum, whatever the width of a vector: that fixes its bits.
const LANES: usize = 16;
/// Vectors that hold them when a vector is as narrow as it gets.
const MOST_VECTORS: usize = 4;

/// # Safety
/// The CPU has `L`; 256 elements can be read at `v`.
#[inline(always)]
unsafe fn signs_and_sums<L: Lanes>(v: *const f32, code: &mut [u8; CODE_BYTES]) -> (f32, f32) {
    const { assert!(LANES.is_multiple_of(L::WIDTH) && LANES / L::WIDTH <= MOST_VECTORS) }
    let (bytes_of_lanes, _) = code.as_chunks_mut::<{ LANES / 8 }>();
    // SAFETY: the vectors of all the lanes are the 256 elements; the arrays stored to are ours.
    unsafe {
        let (mut magnitudes, mut squares) = ([L::zero(); MOST_VECTORS], [L::zero(); MOST_VECTORS]);
        for (bytes, from) in bytes_of_lanes.iter_mut().zip((0..CODE_BITS).step_by(LANES)) {
            let mut bits = 0;
            let sums = magnitudes.iter_mut().zip(&mut squares).zip((0..LANES).step_by(L::WIDTH));
            for ((magnitude, square), lane) in sums {
                let v = L::load(v.add(from + lane));
                *magnitude = L::add(*magnitude, L::abs(v));
                *square = L::add(*square, L::mul(v, v));
                bits |= L::non_negative(v) << lane;
            }
            *bytes = (bits as u16).to_le_bytes();
        }
        (total::<L>(magnitudes), total::<L>(squares))
    }
}

/// Adds the upper half of the lanes to the lower half until one is left.
///
/// # Safety
/// The CPU has `L`.
#[inline(always)]
unsafe fn total<L: Lanes>(sums: [L::Vector; MOST_VECTORS]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (sum, lane) in sums.into_iter().zip((0..LANES).step_by(L::WIDTH)) {
        // SAFETY: `L::WIDTH` lanes from `lane` on are in `lanes`.
        unsafe { L::store(lanes.as_mut_ptr().add(lane), sum) }
    }
    for half in [8, 4, 2, 1] {
        let (low, high) = lanes.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
    }
    let [sum, ..] = lanes;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    /// The definition: 16 lanes, then halves added until one is left.
    fn sum(values: impl Iterator<Item = f32>) -> f32 {
        let mut lanes = [0f32; 16];
        values.enumerate().for_each(|(m, value)| lanes[m % 16] += value);
        for half in [8, 4, 2, 1] {
            (0..half).for_each(|lane| lanes[lane] += lanes[lane + half]);
        }
        lanes[0]
    }

    #[test]
    fn every_variant_gives_the_bits_of_the_definition() {
        for seed in 0..50 {
            let mut v = floats(seed, CODE_BITS + 1);
            (v[3], v[40], v[77]) = (0.0, -0.0, if seed == 0 { f32::NAN } else { 1.0 });
            let v = &v[1..];
            let signs: [u8; CODE_BYTES] =
                std::array::from_fn(|g| (0..8).map(|bit| u8::from(v[8 * g + bit] >= 0.0) << bit).sum());
            let sums = [sum(v.iter().map(|v| v.abs())), sum(v.iter().map(|v| v * v))];
            for (isa, kernel) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
                let mut code = [0xff; CODE_BYTES];
                // SAFETY: the CPU has `isa`, and 256 elements are there.
                let (l1, l2) = unsafe { kernel(v.as_ptr(), &mut code) };
                assert_eq!(code, signs, "{isa:?}");
                let same = |got: f32, sum: f32| got.to_bits() == sum.to_bits() || got.is_nan() && sum.is_nan();
                assert!(same(l1, sums[0]) && same(l2, sums[1]), "{isa:?} {l1} {l2} {sums:?}");
            }
        }
    }
}
