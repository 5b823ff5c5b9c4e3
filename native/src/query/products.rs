//! Queries of the pq mode: what each centroid adds to the score, quantised with one step for all tables.

use crate::codebook::{Codebook, number};
use crate::kernels::adc::{AdcQuery, BYTE_ENTRIES, Line, NIBBLE_ENTRIES, NIBBLES};
use crate::kernels::{matmul, product_tables};
use crate::norm::{dot64, norm2};
use crate::plan::{COSINE, L2, SearchPlan, product_bytes};

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
            // SAFETY: the caller's promise.
            let number = unsafe { number(code, s, self.centroids) };
            sum += table.get(number).copied().unwrap_or(f32::NAN);
        }
        (f64::from(sum) * self.scale) as f32 + self.bias
    }
}

/// Queries that product codes are scanned for.
#[derive(Default)]
pub struct ProductQueries {
    /// Rounded tables.
    pub adc: Vec<AdcQuery>,
    /// The same unrounded.
    pub tables: Vec<ScoreTables>,
    /// What is cut into subspaces, [`Codebook::coded`] elements each.
    pub coded: Vec<f32>,
}

/// Prepares queries for product codes.
///
/// # Safety
/// `codebook` was checked, and `vectors` are whole.
pub unsafe fn products(plan: &SearchPlan, vectors: &[f32], codebook: Codebook) -> ProductQueries {
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
    // SAFETY: the mean has `d` elements.
    let of_length = unsafe { f64::from(length_weight(COSINE)) / 2.0 * (1.0 - norm2(codebook.mean, d)) };
    // SAFETY: the caller's promise.
    let prepared = queries.map(|((vector, residual), scaled)| unsafe {
        let of_mean = dot64(codebook.mean, vector.as_ptr(), d);
        let bias = match plan.metric {
            COSINE => of_mean + of_length,
            L2 => -norm2(residual.as_ptr(), d),
            _ => of_mean,
        };
        query(plan, scaled, bias as f32, &codebook)
    });
    let (adc, tables) = prepared.unzip();
    ProductQueries { adc, tables, coded: scaled }
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
    let residual = |(i, x): (usize, &f32)| x - weight * unsafe { codebook.mean.add(i).read() };
    vectors.chunks_exact(d).flat_map(|vector| vector.iter().enumerate().map(residual)).collect()
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
/// codes share: the bias.
///
/// # Safety
/// The codebook was checked, and `scaled` has the components that it cuts.
unsafe fn query(plan: &SearchPlan, scaled: &[f32], bias: f32, codebook: &Codebook) -> (AdcQuery, ScoreTables) {
    let (score, quantise) = product_tables::tables();
    let mut scores = vec![0f32; codebook.subspaces * codebook.centroids];
    let mut least = vec![0f32; codebook.subspaces];
    let mut entries = vec![0u8; scores.len()];
    let levels = levels(plan);
    // SAFETY: the caller's promise.
    let (lo, range) = unsafe {
        let (lo, range) = score(codebook, scaled, length_weight(plan.metric), &mut scores, &mut least);
        let inverse_step = if range == 0.0 { 0.0 } else { levels / range };
        quantise(&scores, &least, inverse_step, levels, &mut entries);
        (lo, range)
    };
    let scale = match plan.metric {
        COSINE => plan.factor_scale * plan.factor_scale,
        L2 => 2.0 * plan.factor_scale * plan.factor_scale,
        _ => plan.factor_scale,
    };
    let adc = AdcQuery {
        tables: if plan.subspace_bits == 4 { nibble_tables(&entries) } else { byte_tables(&entries) },
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

fn byte_tables(entries: &[u8]) -> Vec<Line> {
    debug_assert!(entries.len().is_multiple_of(BYTE_ENTRIES));
    let (lines, _) = entries.as_chunks::<64>();
    lines.iter().map(|line| Line(*line)).collect()
}

/// Each 16 entries repeated over a register.
fn nibble_tables(entries: &[u8]) -> Vec<Line> {
    debug_assert!((entries.len() * 4).is_multiple_of(NIBBLE_ENTRIES));
    let (groups, _) = entries.as_chunks::<NIBBLES>();
    let spread = |group: &[u8; NIBBLES]| {
        let mut line = [0; 64];
        line.chunks_exact_mut(NIBBLES).for_each(|chunk| chunk.copy_from_slice(group));
        Line(line)
    };
    groups.iter().map(spread).collect()
}
