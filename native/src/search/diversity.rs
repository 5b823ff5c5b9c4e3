//! Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): hits that are near the query and unlike one another.
//!
//! A candidate is worth `lambda * score - (1 - lambda) * nearest`, where `nearest` is the largest score it has against a
//! hit chosen before it. With every choice `nearest` can only grow, so a value that was computed earlier bounds the
//! present one, and candidates that are behind by their bound are not looked at (lazy greedy, Minoux 1978). The choice
//! is that of the plain greedy definition.

use super::rescore::Hit;
use super::segment::Segment;
use crate::kernels::{dot, f16, l2, quantise};
use crate::plan::*;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Chosen hits that a fast search compares every candidate with; of later ones, each fourth.
const COMPARED: usize = 4;
/// Candidates a fast search takes at least, and times as many as hits.
const FAST_LEAST: usize = 16;
const FAST_FACTOR: usize = 2;

/// The value of a candidate when it was last computed.
struct Bound {
    value: f64,
    /// Position among the candidates: the lower one wins a tie.
    at: Reverse<usize>,
    /// Chosen hits it was compared with.
    seen: usize,
    nearest: f32,
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Bound {}
impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value).then(self.at.cmp(&other.at))
    }
}

/// Chooses `keep` of the best `fetch` hits, in the order of the choice. `found` is best first.
///
/// # Safety
/// `bounds::check` accepted the plan, whose precision is not none, and the hits are rows of the segments.
pub unsafe fn diverse(plan: &SearchPlan, segments: &[Segment], found: Vec<Hit>) -> Vec<Hit> {
    let keep = plan.keep as usize;
    let is_fast = plan.fast == Some(true);
    let fetch = plan.fetch.unwrap_or(0) as usize;
    let most = if is_fast { fetch.min((FAST_FACTOR * keep).max(FAST_LEAST)) } else { fetch };
    let candidates = found.get(..most).unwrap_or(&found);
    // SAFETY: the caller's promise.
    let vectors = unsafe { Vectors::load(plan, segments, candidates) };
    let lambda = plan.lambda.unwrap_or(1.0);
    let mut chosen: Vec<usize> = Vec::with_capacity(keep);
    let bound = |at: usize, seen: usize, nearest: f32| {
        let score = candidates.get(at).map_or(f32::NEG_INFINITY, |hit| hit.score_and_row().0);
        let value = lambda * f64::from(score) - (1.0 - lambda) * f64::from(nearest);
        Bound { value, at: Reverse(at), seen, nearest }
    };
    // The first is the nearest of all: nothing was chosen that it could be like.
    let mut heap = BinaryHeap::with_capacity(candidates.len());
    if !candidates.is_empty() {
        chosen.push(0);
        heap.extend((1..candidates.len()).map(|at| bound(at, 1, vectors.score(at, 0))));
    }
    while chosen.len() < keep {
        let Some(Bound { at: Reverse(at), seen, mut nearest, .. }) = heap.pop() else { break };
        if seen == chosen.len() {
            chosen.push(at);
            continue;
        }
        for (place, other) in chosen.iter().enumerate().skip(seen) {
            if !is_fast || place < COMPARED || place.is_multiple_of(COMPARED) {
                nearest = nearest.max(vectors.score(at, *other));
            }
        }
        heap.push(bound(at, chosen.len(), nearest));
    }
    chosen.iter().filter_map(|at| candidates.get(*at)).copied().collect()
}

/// The vectors of the candidates as f32, one after the other.
struct Vectors {
    all: Vec<f32>,
    d: usize,
    kernel: dot::Dot,
    is_l2: bool,
}

impl Vectors {
    /// # Safety
    /// As for [`diverse`].
    unsafe fn load(plan: &SearchPlan, segments: &[Segment], hits: &[Hit]) -> Self {
        let d = plan.dimensions as usize;
        let mut all = vec![0f32; hits.len() * d];
        for (hit, out) in hits.iter().zip(all.chunks_exact_mut(d)) {
            let (_, row) = hit.score_and_row();
            let Some(segment) = segments.get(row as usize / SLOTS) else { continue };
            let slot = row as usize % SLOTS;
            let (x, out) = (segment.vector(slot), out.as_mut_ptr());
            // SAFETY: the slot has a vector of `d` elements, and a scale for int8, and `out` room for as many. It is
            // read as it is: hits are checked once more before they are returned.
            unsafe {
                match plan.precision {
                    F16 => f16::widen()(x.cast(), out, d),
                    INT8 => quantise::dequantise()(x.cast(), segment.scale(slot), out, d),
                    _ => x.cast::<f32>().copy_to_nonoverlapping(out, d),
                }
            }
        }
        let is_l2 = plan.metric == L2;
        Vectors { all, d, kernel: if is_l2 { l2::f32() } else { dot::f32() }, is_l2 }
    }

    /// The collection's score of one candidate against another.
    fn score(&self, a: usize, b: usize) -> f32 {
        let vector = |at: usize| self.all.get(at * self.d..(at + 1) * self.d).map(<[f32]>::as_ptr);
        let (Some(a), Some(b)) = (vector(a), vector(b)) else { return f32::NAN };
        // SAFETY: `d` elements each; the kernel was picked for this CPU.
        let sum = unsafe { (self.kernel)(a.cast(), b, self.d) };
        if self.is_l2 { 0.0 - sum } else { sum }
    }
}
