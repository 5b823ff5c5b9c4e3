//! f16 (IEEE binary16) to and from f32: widening is exact, narrowing rounds to nearest even.

#[cfg(target_arch = "aarch64")]
use super::lanes::Neon;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Scalar};
use super::per_isa::per_isa;
use crate::dispatch::pick;

/// Converts the `n` elements at `from` into `to`, which overlap nowhere.
pub type Convert<From, To> = unsafe fn(from: *const From, to: *mut To, n: usize);

per_isa! {
    /// f32 to f16.
    VARIANTS_NARROW: Convert<f32, u16> = fn(from: *const f32, to: *mut u16, n: usize);
    avx512 narrow_all::<Avx512>, avx2 narrow_all::<Avx2>, neon narrow_all::<Neon>, scalar narrow_all::<Scalar>
}

per_isa! {
    /// f16 to f32.
    VARIANTS_WIDEN: Convert<u16, f32> = fn(from: *const u16, to: *mut f32, n: usize);
    avx512 widen_all::<Avx512>, avx2 widen_all::<Avx2>, neon widen_all::<Neon>, scalar widen_all::<Scalar>
}

/// f32 to f16 on the instruction set in force.
pub fn narrow() -> Convert<f32, u16> {
    pick(VARIANTS_NARROW, narrow_all::<Scalar>)
}

/// f16 to f32 on the instruction set in force.
pub fn widen() -> Convert<u16, f32> {
    pick(VARIANTS_WIDEN, widen_all::<Scalar>)
}

/// # Safety
/// The CPU has `L`; `n` elements can be read at `from` and written at `to`.
#[inline(always)]
unsafe fn narrow_all<L: Lanes>(from: *const f32, to: *mut u16, n: usize) {
    let whole = n - n % L::WIDTH;
    for i in (0..whole).step_by(L::WIDTH) {
        // SAFETY: a vector from `i` on is below `n`.
        unsafe { L::narrow(to.add(i), L::load(from.add(i))) }
    }
    for i in whole..n {
        // SAFETY: `i < n`.
        unsafe { to.add(i).write_unaligned(from_f32(from.add(i).read_unaligned())) }
    }
}

/// # Safety
/// The CPU has `L`; `n` elements can be read at `from` and written at `to`.
#[inline(always)]
unsafe fn widen_all<L: Lanes>(from: *const u16, to: *mut f32, n: usize) {
    let whole = n - n % L::WIDTH;
    for i in (0..whole).step_by(L::WIDTH) {
        // SAFETY: a vector from `i` on is below `n`.
        unsafe { L::store(to.add(i), L::widen(from.add(i))) }
    }
    for i in whole..n {
        // SAFETY: `i < n`.
        unsafe { to.add(i).write_unaligned(to_f32(from.add(i).read_unaligned())) }
    }
}

/// The value of the f16 with these bits.
#[inline]
pub fn to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff);
    let value = match magnitude >> 10 {
        // A subnormal is a multiple of 2^-24, which f32 holds exactly.
        0 => (magnitude as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        31 => 0x7f80_0000 | (magnitude & 0x3ff) << 13,
        // The exponent's bias grows from 15 to 127.
        _ => (magnitude << 13) + (112 << 23),
    };
    f32::from_bits(sign | value)
}

/// The bits of the f16 nearest to `value`, ties to even; infinite from 65520 on.
#[inline]
pub fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    let narrow = if magnitude > 0x7f80_0000 {
        0x7e00
    } else if magnitude >= 0x4780_0000 {
        0x7c00
    } else if magnitude >= 0x3880_0000 {
        // Adding just under half of the last place kept, and one more when that place is odd,
        // carries into it exactly when rounding to even says so.
        let rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
        (rounded - (112 << 23)) >> 13
    } else {
        // 0.5 has the last place of an f16 subnormal, 2^-24, as its own: the sum rounds there.
        (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()
    };
    sign | narrow as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    fn widened(bits: &[u16]) -> Vec<Vec<f32>> {
        let available = VARIANTS_WIDEN.iter().filter(|(isa, _)| isa.available());
        let run = |kernel: Convert<u16, f32>| {
            let mut out = vec![0.0; bits.len()];
            // SAFETY: the CPU has the variant, and both have as many elements.
            unsafe { kernel(bits.as_ptr(), out.as_mut_ptr(), bits.len()) };
            out
        };
        available.map(|(_, kernel)| run(*kernel)).collect()
    }

    fn narrowed(values: &[f32]) -> Vec<Vec<u16>> {
        let available = VARIANTS_NARROW.iter().filter(|(isa, _)| isa.available());
        let run = |kernel: Convert<f32, u16>| {
            let mut out = vec![0; values.len()];
            // SAFETY: the CPU has the variant, and both have as many elements.
            unsafe { kernel(values.as_ptr(), out.as_mut_ptr(), values.len()) };
            out
        };
        available.map(|(_, kernel)| run(*kernel)).collect()
    }

    /// The definition: sign, significand and exponent, in f64.
    fn value(bits: u16) -> f64 {
        let (sign, exponent) = (if bits >> 15 == 1 { -1.0 } else { 1.0 }, i32::from(bits >> 10 & 31));
        let fraction = f64::from(bits & 0x3ff) / 1024.0;
        match exponent {
            0 => sign * fraction * f64::powi(2.0, -14),
            31 => sign * f64::INFINITY,
            _ => sign * (1.0 + fraction) * f64::powi(2.0, exponent - 15),
        }
    }

    /// Every f16 that is a number.
    fn numbers() -> Vec<u16> {
        (0..=u16::MAX).filter(|bits| bits & 0x7fff <= 0x7c00).collect()
    }

    #[test]
    fn every_number_widens_to_its_value_and_narrows_back() {
        let numbers = numbers();
        for values in widened(&numbers) {
            assert!(numbers.iter().zip(&values).all(|(bits, got)| f64::from(*got) == value(*bits)));
            assert!(narrowed(&values).into_iter().all(|back| back == numbers));
        }
    }

    #[test]
    fn between_two_neighbours_the_nearer_wins_and_a_tie_goes_to_the_even_one() {
        let finite: Vec<u16> = (0..0x7bff).collect();
        let middles: Vec<f32> = finite.iter().map(|low| ((value(*low) + value(low + 1)) / 2.0) as f32).collect();
        let even: Vec<u16> = finite.iter().map(|low| low + (low & 1)).collect();
        let above: Vec<u16> = finite.iter().map(|low| low + 1).collect();
        assert!(narrowed(&middles).into_iter().all(|got| got == even));
        let nudged = |up: bool| {
            let nudge = |middle: &f32| if up { middle.next_up() } else { middle.next_down() };
            narrowed(&middles.iter().map(nudge).collect::<Vec<_>>())
        };
        assert!(nudged(true).into_iter().all(|got| got == above));
        assert!(nudged(false).into_iter().all(|got| got == finite));
    }

    #[test]
    fn what_is_too_large_becomes_infinite_and_what_is_too_small_zero() {
        let values = [65519.99, 65520.0, -65536.0, f32::MAX, f32::INFINITY, 2.9e-8, -1e-40, f32::MIN_POSITIVE];
        let expected = [0x7bff, 0x7c00, 0xfc00, 0x7c00, 0x7c00, 0, 0x8000, 0];
        assert!(narrowed(&values).into_iter().all(|got| got == expected));
    }

    #[test]
    fn every_length_leaves_its_neighbours_alone() {
        let values = floats(1, 100);
        for n in 0..100 {
            let variants = VARIANTS_NARROW.iter().zip(VARIANTS_WIDEN).filter(|((isa, _), _)| isa.available());
            for ((isa, narrow), (_, widen)) in variants {
                let (mut halves, mut back) = ([0xabcd; 101], [7.5; 101]);
                // SAFETY: the CPU has `isa`, and all have more than `n` elements.
                unsafe {
                    narrow(values.as_ptr(), halves.as_mut_ptr(), n);
                    widen(halves.as_ptr(), back.as_mut_ptr(), n);
                }
                assert!(values[..n].iter().zip(halves).all(|(value, got)| from_f32(*value) == got), "{isa:?} {n}");
                assert!(halves[..n].iter().zip(back).all(|(half, got)| to_f32(*half) == got), "{isa:?} {n}");
                assert!(halves[n] == 0xabcd && back[n] == 7.5, "{isa:?} {n} wrote outside");
            }
        }
    }
}
