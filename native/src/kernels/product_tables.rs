//! A query to its tables for product codes: what each centroid of each subspace adds to a score, and the same in whole steps
//! from the least of a subspace.

use super::per_isa::per_isa;
use crate::codebook::{Codebook, Subspace};
use crate::dispatch::pick;

/// Centroids of a subspace whose numbers have 4 bits.
const NIBBLES: usize = 16;
/// Centroids of a subspace whose numbers have 8 bits.
const BYTES: usize = 256;
/// Added to a number in `[0, 2^22)` it leaves the nearest whole number, ties to even, in the low bits.
const ROUNDER: f32 = 8_388_608.0;

/// Fills `scores` (`subspaces x centroids`) with `<c, u> - weight |c|^2 / 2` for the query `u`, in the order of roundings of
/// `matmul`, and `least` with the least of each subspace. Returns the sum of those and the largest range of a subspace.
pub type Score =
    unsafe fn(codebook: &Codebook, query: &[f32], weight: f32, scores: &mut [f32], least: &mut [f32]) -> (f32, f32);

/// Fills `entries` with the scores less the least of their subspace, times `inverse_step`, rounded and within `0..=levels`.
pub type Quantise = unsafe fn(scores: &[f32], least: &[f32], inverse_step: f32, levels: f32, entries: &mut [u8]);

per_isa! {
    /// Every variant of scoring, best first.
    SCORES: Score = fn(codebook: &Codebook, query: &[f32], weight: f32, scores: &mut [f32], least: &mut [f32]) -> (f32, f32);
    avx512 score, avx2 score, neon score, scalar score
}

per_isa! {
    /// Every variant of rounding, best first.
    ROUNDINGS: Quantise = fn(scores: &[f32], least: &[f32], inverse_step: f32, levels: f32, entries: &mut [u8]);
    avx512 quantise, avx2 quantise, neon quantise, scalar quantise
}

/// The variants on the instruction set in force.
pub fn tables() -> (Score, Quantise) {
    (pick(SCORES, score), pick(ROUNDINGS, quantise))
}

/// # Safety
/// The codebook was checked, and the query has the components that it cuts.
#[inline(always)]
unsafe fn score(codebook: &Codebook, query: &[f32], weight: f32, scores: &mut [f32], least: &mut [f32]) -> (f32, f32) {
    // SAFETY: the caller's promise.
    unsafe {
        match codebook.centroids {
            NIBBLES => score_each::<NIBBLES>(codebook, query, weight, scores, least),
            _ => score_each::<BYTES>(codebook, query, weight, scores, least),
        }
    }
}

/// Written so that compilers make lanes of the centroids.
///
/// # Safety
/// As for [`score`], of `K` centroids a subspace.
#[inline(always)]
unsafe fn score_each<const K: usize>(
    codebook: &Codebook,
    query: &[f32],
    weight: f32,
    scores: &mut [f32],
    least: &mut [f32],
) -> (f32, f32) {
    let (mut lo, mut range) = (0f32, 0f32);
    let (tables, _) = scores.as_chunks_mut::<K>();
    for ((table, least), Subspace { start, width, columns, halves }) in
        tables.iter_mut().zip(least).zip(codebook.each())
    {
        let mut sums = [0f32; K];
        for (i, component) in query.iter().skip(start).take(width).enumerate() {
            // SAFETY: the subspace has `width` rows of `K` centroids.
            let row = unsafe { columns.add(i * K).cast::<[f32; K]>().read_unaligned() };
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += component * x);
        }
        // SAFETY: there is half a length for each centroid.
        let halves = unsafe { halves.cast::<[f32; K]>().read_unaligned() };
        sums.iter_mut().zip(halves).for_each(|(sum, half)| *sum -= weight * half);
        *table = sums;
        *least = best(sums, f32::INFINITY, |a, b| a < b);
        let most = best(sums, f32::NEG_INFINITY, |a, b| a > b);
        lo += *least;
        range = range.max(most - *least);
    }
    (lo, range)
}

/// The best of all by `is_better`, and `none` where no other is: what is not a number is left out.
#[inline(always)]
fn best<const K: usize>(values: [f32; K], none: f32, is_better: impl Fn(f32, f32) -> bool) -> f32 {
    let pick = |a: f32, b: f32| if is_better(a, b) { a } else { b };
    let mut values = values.map(|value| pick(value, none));
    let mut width = K;
    while width > 1 {
        width /= 2;
        let (low, high) = values.split_at_mut(width);
        low.iter_mut().zip(high.iter()).for_each(|(a, b)| *a = pick(*b, *a));
    }
    values.first().copied().unwrap_or(none)
}

/// # Safety
/// None of its own: it is called through pointers to variants that need their instruction set.
#[inline(always)]
unsafe fn quantise(scores: &[f32], least: &[f32], inverse_step: f32, levels: f32, entries: &mut [u8]) {
    let centroids = scores.len() / least.len().max(1);
    let tables = scores.chunks_exact(centroids.max(1)).zip(entries.chunks_exact_mut(centroids.max(1)));
    for ((scores, entries), least) in tables.zip(least) {
        for (score, entry) in scores.iter().zip(entries) {
            // NaN, from a range that f32 cannot divide, becomes 0: the larger of NaN and 0 is 0.
            let level = ((score - least) * inverse_step).max(0.0);
            *entry = (level.min(levels) + ROUNDER).to_bits() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sample::floats;
    use crate::plan::{L2, NONE, SegmentLayout};
    use crate::view::View;

    /// One entry after the other.
    fn definition(codebook: &Codebook, query: &[f32], weight: f32) -> (Vec<f32>, Vec<f32>, f32, f32) {
        let (mut scores, mut least, mut lo, mut range) = (Vec::new(), Vec::new(), 0f32, 0f32);
        for Subspace { start, width, columns, halves } in codebook.each() {
            let score = |c: usize| {
                // SAFETY: the codebook of the test is whole.
                let component = |i: usize| unsafe { *columns.add(i * codebook.centroids + c) };
                // SAFETY: as above.
                let half = unsafe { *halves.add(c) };
                (0..width).fold(0f32, |sum, i| sum + query[start + i] * component(i)) - weight * half
            };
            let table: Vec<f32> = (0..codebook.centroids).map(score).collect();
            let lowest = table.iter().copied().fold(f32::INFINITY, |a, b| if b < a { b } else { a });
            let most = table.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
            lo += lowest;
            range = range.max(most - lowest);
            scores.extend(table);
            least.push(lowest);
        }
        (scores, least, lo, range)
    }

    #[test]
    fn every_variant_gives_the_bits_of_the_definition() {
        for (subspaces, bits, dimensions) in [(4, 4, 9), (96, 4, 384), (8, 8, 24), (5, 8, 17)] {
            let layout = SegmentLayout {
                dimensions,
                metric: L2,
                precision: NONE,
                live_offset: 0,
                generation_offset: 0,
                scales_offset: 0,
                vectors_offset: 0,
                factor_scale: 1.0,
                subspaces,
                subspace_bits: bits,
                rotated: 0,
            };
            let centroids = 1usize << bits;
            let mut parameters = floats(7, dimensions as usize + (dimensions + subspaces) as usize * centroids);
            let query = floats(8, dimensions as usize);
            let levels = if bits == 4 { 63.0 } else { 255.0 };
            for spoiled in [parameters[dimensions as usize + 3], f32::NAN, f32::INFINITY] {
                parameters[dimensions as usize + 3] = spoiled;
                let codebook =
                    Codebook::new(&layout, View::from_raw(parameters.as_mut_ptr(), parameters.len())).unwrap();
                let (scores, least, lo, range) = definition(&codebook, &query, 0.75);
                let inverse = levels / range;
                let entry = |(i, score): (usize, &f32)| {
                    ((score - least[i / centroids]) * inverse).clamp(0.0, levels).round_ties_even() as u8
                };
                let entries: Vec<u8> = scores.iter().enumerate().map(entry).collect();
                for ((isa, score), (_, quantise)) in
                    SCORES.iter().zip(ROUNDINGS).filter(|((isa, _), _)| isa.available())
                {
                    let (mut ours, mut lowest, mut rounded) =
                        (vec![0f32; scores.len()], vec![0f32; least.len()], vec![0u8; scores.len()]);
                    // SAFETY: the instruction set is there, and the codebook is whole.
                    let sums = unsafe {
                        let sums = score(&codebook, &query, 0.75, &mut ours, &mut lowest);
                        quantise(&ours, &lowest, inverse, levels, &mut rounded);
                        sums
                    };
                    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&ours), bits(&scores), "{isa:?}");
                    assert_eq!(lowest, least, "{isa:?}");
                    assert_eq!((sums.0.to_bits(), sums.1.to_bits()), (lo.to_bits(), range.to_bits()), "{isa:?}");
                    assert_eq!(rounded, entries, "{isa:?}");
                }
            }
        }
    }
}
