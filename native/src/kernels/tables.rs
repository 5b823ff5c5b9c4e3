//! A projected query to its look-up tables: for each group of four components the 16 sums with the signs of a nibble,
//! in 64 steps from the least to the largest.

use super::blocks::{ENTRIES, GROUPS, Table};
use super::per_isa::per_isa;
use crate::dispatch::pick;
use crate::plan::CODE_BITS;

/// Largest entry of a look-up table: four add up in a byte.
const MAX_ENTRY: f32 = 63.0;
/// Added to a number in `[0, 2^22)` it leaves the nearest whole number, ties to even, in the low bits.
const ROUNDER: f32 = 8_388_608.0;

/// Fills the table of a projected query; returns the step and the offset that its sums are scaled by.
pub type Tables = unsafe fn(projected: &[f32; CODE_BITS], table: &mut Table) -> (f32, f32);

per_isa! {
    /// Every variant, best first.
    VARIANTS: Tables = fn(projected: &[f32; CODE_BITS], table: &mut Table) -> (f32, f32);
    avx512 fill, avx2 fill, neon fill, scalar fill
}

/// The variant on the instruction set in force.
pub fn tables() -> Tables {
    pick(VARIANTS, fill)
}

/// Written so that compilers make 16 lanes of the 16 entries of a group.
///
/// # Safety
/// None of its own: it is called through pointers to variants that need their instruction set.
#[inline(always)]
unsafe fn fill(projected: &[f32; CODE_BITS], table: &mut Table) -> (f32, f32) {
    let (groups, _) = projected.as_chunks::<4>();
    let mut magnitudes = [0f32; GROUPS];
    let (mut largest, mut lo) = (0f32, 0f32);
    for ([a, b, c, d], magnitude) in groups.iter().zip(&mut magnitudes) {
        *magnitude = a.abs() + b.abs() + c.abs() + d.abs();
        largest = largest.max(*magnitude * 2.0);
        lo -= *magnitude;
    }
    if largest == 0.0 {
        table.0.fill(0);
        return (0.0, 0.0);
    }
    let inverse = MAX_ENTRY / largest;
    let (tables, _) = table.0.as_chunks_mut::<ENTRIES>();
    for ((entries, group), magnitude) in tables.iter_mut().zip(groups).zip(magnitudes) {
        let [a, b, c, d] = group;
        let mut sums = [-(a + b + c + d); ENTRIES];
        for (bit, component) in group.iter().enumerate() {
            for (nibble, sum) in sums.iter_mut().enumerate() {
                *sum = if nibble >> bit & 1 == 1 { *sum + 2.0 * component } else { *sum };
            }
        }
        for (entry, sum) in entries.iter_mut().zip(sums) {
            // NaN, from a range that f32 cannot divide, becomes 0: the larger of NaN and 0 is 0.
            let level = ((sum + magnitude) * inverse).max(0.0);
            *entry = (level.min(MAX_ENTRY) + ROUNDER).to_bits() as u8;
        }
    }
    (largest / MAX_ENTRY, lo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;

    /// One entry after the other, to the letter of the format.
    fn definition(projected: &[f32]) -> (Vec<u8>, f32, f32) {
        let magnitude = |group: &[f32]| group.iter().map(|a| a.abs()).reduce(|sum, a| sum + a).unwrap();
        let largest = projected.chunks(4).fold(0f32, |largest, group| largest.max(magnitude(group) * 2.0));
        let lo = projected.chunks(4).fold(0f32, |lo, group| lo - magnitude(group));
        if largest == 0.0 {
            return (vec![0; GROUPS * ENTRIES], 0.0, 0.0);
        }
        let inverse = MAX_ENTRY / largest;
        let entry = |i: usize| {
            let group = &projected[i / ENTRIES * 4..][..4];
            let mut sum = -group.iter().copied().reduce(|sum, a| sum + a).unwrap();
            for (bit, a) in group.iter().enumerate() {
                if i >> bit & 1 == 1 {
                    sum += 2.0 * a;
                }
            }
            ((sum + magnitude(group)) * inverse).clamp(0.0, MAX_ENTRY).round_ties_even() as u8
        };
        ((0..GROUPS * ENTRIES).map(entry).collect(), largest / MAX_ENTRY, lo)
    }

    #[test]
    fn every_variant_gives_the_bits_of_the_definition() {
        for seed in 0..60 {
            let mut projected: [f32; CODE_BITS] = floats(seed, CODE_BITS).try_into().unwrap();
            match seed {
                0 => projected.fill(0.0),
                1 => projected.iter_mut().for_each(|x| *x *= 1e-38),
                2 => projected.iter_mut().for_each(|x| *x *= 1e38),
                3 => projected.iter_mut().for_each(|x| *x = x.signum()),
                _ => projected[seed as usize * 4..][..4].fill(-0.0),
            }
            let (entries, step, lo) = definition(&projected);
            for (isa, kernel) in VARIANTS.iter().filter(|(isa, _)| isa.available()) {
                let mut table = Table([7; GROUPS * ENTRIES]);
                // SAFETY: the CPU has `isa`.
                let scale = unsafe { kernel(&projected, &mut table) };
                assert_eq!(table.0.as_slice(), entries, "{isa:?} {seed}");
                assert_eq!(scale, (step, lo), "{isa:?} {seed}");
            }
        }
    }
}
