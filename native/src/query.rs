//! Queries in the forms that the kernels take, to the letter of the format: every step rounds as
//! the scalar definitions in TypeScript do, so estimates have the same bits everywhere.

mod products;

pub use products::{ProductQueries, ScoreTables, products};

use crate::kernels::blocks::{ENTRIES, GROUPS, Table};
use crate::kernels::fastscan::FlatQuery;
use crate::kernels::hamming::HammingQuery;
use crate::kernels::{matmul, tables};
use crate::norm::{dot64, norm2, normalise};
use crate::plan::{CODE_BITS, CODE_BYTES, COSINE, L2, SearchPlan};
use crate::view::View;

/// The mean and projection that codes are made with. Its view was checked to hold both.
#[derive(Clone, Copy)]
pub struct Encoder {
    mean: *const f32,
    projection: *const f32,
}

impl Encoder {
    /// `mean (d)` then `projection (d x 256)`.
    pub fn new(view: View<f32>, d: usize) -> Self {
        Encoder { mean: view.ptr(), projection: view.ptr().wrapping_add(d) }
    }
}

/// Copies the queries, each scaled to length 1 when the metric is cosine.
///
/// # Safety
/// `queries` is readable for its length, a multiple of `dimensions`.
pub unsafe fn prepared(plan: &SearchPlan, queries: View<f32>) -> Vec<f32> {
    let d = plan.dimensions as usize;
    let mut vectors = vec![0f32; queries.len()];
    for (i, vector) in vectors.chunks_exact_mut(d).enumerate() {
        let query = queries.ptr().wrapping_add(i * d);
        // SAFETY: query `i` and `vector` have `d` elements.
        unsafe {
            match plan.metric {
                COSINE => normalise(query, vector.as_mut_ptr(), d),
                _ => query.copy_to_nonoverlapping(vector.as_mut_ptr(), d),
            }
        }
    }
    vectors
}

/// Queries of the flat mode, and their projections: [`CODE_BITS`] each.
///
/// # Safety
/// `encoder` was made for the plan's dimensions.
pub unsafe fn flat(plan: &SearchPlan, vectors: &[f32], encoder: Encoder) -> (Vec<FlatQuery>, Vec<f32>) {
    let d = plan.dimensions as usize;
    let centred = (plan.metric == L2).then(|| {
        // SAFETY: the caller's promise.
        unsafe { centre(vectors, encoder, d) }
    });
    let sources = centred.as_deref().unwrap_or(vectors);
    // SAFETY: as above.
    let projected = unsafe { project(sources, encoder, d) };
    let fill = tables::tables();
    let scale = if plan.metric == L2 { 2.0 } else { 1.0 } * plan.factor_scale;
    let query = |(source, projected): (&[f32], &[f32; CODE_BITS])| {
        // SAFETY: `source` and the mean have `d` elements.
        let bias = unsafe {
            match plan.metric {
                L2 => -(norm2(source.as_ptr(), d) as f32),
                _ => dot64(encoder.mean, source.as_ptr(), d) as f32,
            }
        };
        let mut table = Table([0; GROUPS * ENTRIES]);
        // SAFETY: the variant is one of this CPU's.
        let (step, lo) = unsafe { fill(projected, &mut table) };
        FlatQuery::new(table, (f64::from(step) * scale) as f32, (f64::from(lo) * scale) as f32, bias)
    };
    let queries = sources.chunks_exact(d).zip(projected.as_chunks().0).map(query).collect();
    (queries, projected)
}

/// Queries of the binary mode.
///
/// # Safety
/// `encoder` was made for the plan's dimensions.
pub unsafe fn binary(plan: &SearchPlan, vectors: &[f32], encoder: Encoder) -> Vec<HammingQuery> {
    let d = plan.dimensions as usize;
    // SAFETY: the caller's promise.
    let projected = unsafe { project(&centre(vectors, encoder, d), encoder, d) };
    let query = |projected: &[f32]| {
        let mut code = [0u8; CODE_BYTES];
        for (byte, eight) in code.iter_mut().zip(projected.chunks_exact(8)) {
            *byte = eight.iter().rev().fold(0, |byte, y| byte << 1 | u8::from(*y >= 0.0));
        }
        HammingQuery::new(&code)
    };
    projected.chunks_exact(CODE_BITS).map(query).collect()
}

/// Each vector less the encoder's mean.
unsafe fn centre(vectors: &[f32], encoder: Encoder, d: usize) -> Vec<f32> {
    // SAFETY: `i % d` is a component of the mean.
    let difference = |(i, x): (usize, &f32)| x - unsafe { encoder.mean.add(i % d).read() };
    vectors.iter().enumerate().map(difference).collect()
}

/// Each vector times the projection.
unsafe fn project(vectors: &[f32], encoder: Encoder, d: usize) -> Vec<f32> {
    let count = vectors.len() / d;
    let mut projected = vec![0f32; count * CODE_BITS];
    // SAFETY: `count x d`, `d x CODE_BITS` and `count x CODE_BITS` elements.
    unsafe { matmul::matmul()(vectors.as_ptr(), encoder.projection, projected.as_mut_ptr(), count, d, CODE_BITS) };
    projected
}
