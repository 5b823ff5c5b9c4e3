//! Queries of the pq mode: what each centroid adds to the score, quantised with one step for all tables.

use crate::codebook::Codebook;
use crate::kernels::adc::{AdcQuery, BYTE_ENTRIES, Line, NIBBLE_ENTRIES, NIBBLES};
use crate::kernels::matmul;
use crate::norm::{dot64, norm2};
use crate::plan::{BLOCK, COSINE, L2, SearchPlan, product_bytes};

/// What each centroid adds to the score of a code, unrounded: a sum `s` stands for the score `s * scale + bias`.
pub struct ScoreTables {
    /// `subspaces x centroids`.
    scores: Vec<f32>,
    centroids: usize,
    scale: f64,
    bias: f32,
}

impl ScoreTables {
    /// The score of a code, summed in order of the subspaces.
    ///
    /// # Safety
    /// A code of as many subspaces can be read at `code`, one byte every [`BLOCK`] bytes.
    pub unsafe fn score(&self, code: *const u8) -> f32 {
        let mut sum = 0f32;
        for (s, table) in self.scores.chunks_exact(self.centroids).enumerate() {
            let (byte, shift, mask) = if self.centroids == NIBBLES { (s / 2, s % 2 * 4, 15) } else { (s, 0, 255) };
            // SAFETY: the caller's promise.
            let number = usize::from(unsafe { code.add(byte * BLOCK).read() } >> shift & mask);
            sum += table.get(number).copied().unwrap_or(f32::NAN);
        }
        (f64::from(sum) * self.scale) as f32 + self.bias
    }
}

/// Queries of the pq mode, each as rounded and as unrounded tables.
///
/// # Safety
/// `codebook` was checked, and `vectors` are whole.
pub unsafe fn products(plan: &SearchPlan, vectors: &[f32], codebook: Codebook) -> (Vec<AdcQuery>, Vec<ScoreTables>) {
    let d = plan.dimensions as usize;
    let residuals = residuals(plan, vectors, codebook);
    let scale = if has_length(plan) { (1.0 / plan.factor_scale) as f32 } else { 1.0 };
    let mut scaled: Vec<f32> = residuals.iter().map(|x| x * scale).collect();
    if codebook.rotates() {
        let mut rotated = vec![0f32; scaled.len() / d * codebook.coded()];
        // SAFETY: as many rows before as after, and the codebook was checked.
        unsafe { codebook.rotate(matmul::matmul(), &scaled, &mut rotated, scaled.len() / d) };
        scaled = rotated;
    }
    let queries = vectors.chunks_exact(d).zip(residuals.chunks_exact(d)).zip(scaled.chunks_exact(codebook.coded()));
    // SAFETY: the caller's promise.
    queries.map(|((vector, residual), scaled)| unsafe { query(plan, vector, residual, scaled, codebook) }).unzip()
}

/// Whether the length of a decoded vector counts.
fn has_length(plan: &SearchPlan) -> bool {
    matches!(plan.metric, COSINE | L2)
}

/// Each vector less what counts of the mean.
fn residuals(plan: &SearchPlan, vectors: &[f32], codebook: Codebook) -> Vec<f32> {
    let d = plan.dimensions as usize;
    let weight = length_weight(plan.metric);
    // SAFETY: the mean has `d` elements.
    let mean = |i: usize| unsafe { codebook.mean.add(i % d).read() };
    vectors.iter().enumerate().map(|(i, x)| x - weight * mean(i)).collect()
}

/// How much half the squared length of a decoded vector takes from its score: `adc.ts` has the reasons.
fn length_weight(metric: u32) -> f32 {
    match metric {
        COSINE => 0.75,
        L2 => 1.0,
        _ => 0.0,
    }
}

/// With the mean and the scale of a codebook taken out, `<x, q> - w |x|^2 / 2` is the sum of
/// `<c, u> - w |c|^2 / 2` over the centroids of a code for `u = q - w mean`, rotated as they are, and a term that all
/// codes share.
unsafe fn query(
    plan: &SearchPlan,
    vector: &[f32],
    residual: &[f32],
    scaled: &[f32],
    codebook: Codebook,
) -> (AdcQuery, ScoreTables) {
    let d = vector.len();
    let weight = length_weight(plan.metric);
    // SAFETY: the caller's promise.
    let scores = unsafe { score_tables(scaled, codebook, weight) };
    let tables = scores.chunks_exact(codebook.centroids);
    // Comparisons leave out what is not a number, in whatever order they are made.
    let least: Vec<f32> =
        tables.clone().map(|table| table.iter().fold(f32::INFINITY, |a, b| if *b < a { *b } else { a })).collect();
    let most = |table: &[f32]| table.iter().fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
    let lo = least.iter().fold(0f32, |sum, least| sum + least);
    let range = tables.clone().zip(&least).fold(0f32, |range, (table, least)| range.max(most(table) - least));
    let levels = levels(plan);
    let inverse_step = if range == 0.0 { 0.0 } else { levels / range };
    // NaN, from a range that f32 cannot divide, becomes 0.
    let quantised =
        |score: f32, least: f32| ((score - least) * inverse_step).clamp(0.0, levels).round_ties_even() as u8;
    let entries =
        tables.zip(&least).flat_map(|(table, least)| table.iter().map(move |score| quantised(*score, *least)));
    // SAFETY: vector, residual and mean have `d` elements.
    let (scale, bias) = unsafe {
        let square = plan.factor_scale * plan.factor_scale;
        match plan.metric {
            COSINE => {
                let of_mean = dot64(codebook.mean, vector.as_ptr(), d);
                (square, of_mean + f64::from(weight) / 2.0 * (1.0 - norm2(codebook.mean, d)))
            }
            L2 => (2.0 * square, -norm2(residual.as_ptr(), d)),
            _ => (plan.factor_scale, dot64(codebook.mean, vector.as_ptr(), d)),
        }
    };
    let bias = bias as f32;
    let adc = AdcQuery {
        tables: if plan.subspace_bits == 4 { nibble_tables(entries) } else { byte_tables(entries) },
        rows: product_bytes(plan.subspaces, plan.subspace_bits),
        step: (f64::from(range / levels) * scale) as f32,
        lo: (f64::from(lo) * scale) as f32 + bias,
    };
    (adc, ScoreTables { scores, centroids: codebook.centroids, scale, bias })
}

/// Largest entry: a byte of 8 bits, or 63 of 4 bits so that four add up in a byte. All of a code fit 16 bits.
fn levels(plan: &SearchPlan) -> f32 {
    let most = if plan.subspace_bits == 4 { 63 } else { 255 };
    (65_535 / plan.subspaces).min(most) as f32
}

/// What each centroid adds to the score, before the scale.
unsafe fn score_tables(query: &[f32], codebook: Codebook, weight: f32) -> Vec<f32> {
    let n = codebook.centroids;
    let mut scores = vec![0f32; codebook.subspaces * n];
    let matmul = matmul::matmul();
    for (table, subspace) in scores.chunks_exact_mut(n).zip(codebook.each()) {
        // SAFETY: the subspace lies inside the query, and has `n` columns and half lengths.
        unsafe {
            let part = query.as_ptr().add(subspace.start);
            matmul(part, subspace.columns, table.as_mut_ptr(), 1, subspace.width, n);
            table.iter_mut().enumerate().for_each(|(c, score)| *score -= weight * subspace.halves.add(c).read());
        }
    }
    scores
}

fn byte_tables(entries: impl Iterator<Item = u8>) -> Vec<Line> {
    let entries: Vec<u8> = entries.collect();
    debug_assert!(entries.len().is_multiple_of(BYTE_ENTRIES));
    let (lines, _) = entries.as_chunks::<64>();
    lines.iter().map(|line| Line(*line)).collect()
}

/// Each 16 entries repeated over a register.
fn nibble_tables(entries: impl Iterator<Item = u8>) -> Vec<Line> {
    let entries: Vec<u8> = entries.collect();
    debug_assert!((entries.len() * 4).is_multiple_of(NIBBLE_ENTRIES));
    let (groups, _) = entries.as_chunks::<NIBBLES>();
    let spread = |group: &[u8; NIBBLES]| {
        let mut line = [0; 64];
        line.chunks_exact_mut(NIBBLES).for_each(|chunk| chunk.copy_from_slice(group));
        Line(line)
    };
    groups.iter().map(spread).collect()
}
