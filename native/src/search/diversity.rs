//! Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): hits that are near the query and unlike one another.
//!
//! A candidate is worth `lambda * score - (1 - lambda) * nearest`, where `nearest` is the largest score it has against a
//! hit chosen before it. With every choice `nearest` can only grow, so a value that was computed earlier bounds the
//! present one, and candidates that are behind by their bound are not looked at (lazy greedy, Minoux 1978). The choice
//! is that of the plain greedy definition.

use super::diversity_fast;
use super::rescore::{Hit, best_first, keep_best};
use super::scan::Cancel;
use super::segment::Segment;
use crate::kernels::{dot, f16, l2, quantise};
use crate::plan::*;
use std::cell::Cell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The value of a candidate when it was last computed.
struct Bound {
    value: f64,
    /// Position among the candidates: the lower one wins a tie.
    at: Reverse<usize>,
    /// Chosen hits it was compared with.
    seen: usize,
    nearest: f32,
}

impl Bound {
    /// What a candidate of this score is worth when this is the nearest chosen hit.
    fn new(lambda: f64, score: f32, at: usize, seen: usize, nearest: f32) -> Self {
        let value = lambda * f64::from(score) - (1.0 - lambda) * f64::from(nearest);
        Bound { value, at: Reverse(at), seen, nearest }
    }
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

/// Chooses `keep` of the best `fetch` hits, in the order of the choice. `None` when cancelled.
///
/// # Safety
/// `bounds::check` accepted the plan, whose precision is not none, the hits are rows of the segments, and the cancel word is
/// inside `control`.
pub unsafe fn diverse(
    plan: &SearchPlan,
    segments: &[Segment],
    mut found: Vec<Hit>,
    cancel: &Cancel,
) -> Option<Vec<Hit>> {
    keep_best(&mut found, plan.fetch.unwrap_or(0) as usize);
    // SAFETY: the caller's promise.
    let chosen = unsafe {
        if plan.fast == Some(true) && diversity_fast::keeps_worth(plan, found.len()) {
            diversity_fast::chosen(plan, segments, &mut found, cancel)?
        } else {
            found.sort_unstable_by_key(best_first);
            chosen(plan, segments, &found, cancel)?
        }
    };
    Some(chosen.iter().filter_map(|at| found.get(*at)).copied().collect())
}

/// # Safety
/// As for [`diverse`].
unsafe fn chosen(plan: &SearchPlan, segments: &[Segment], candidates: &[Hit], cancel: &Cancel) -> Option<Vec<usize>> {
    let keep = plan.keep as usize;
    let lambda = plan.lambda.unwrap_or(1.0);
    let mut vectors = Vectors::new(plan, segments, candidates.len());
    for hit in candidates {
        // SAFETY: the caller's promise.
        unsafe { vectors.push(hit) };
    }
    let mut chosen: Vec<usize> = Vec::with_capacity(keep);
    let bound = |at: usize, seen: usize, nearest: f32| {
        let score = candidates.get(at).map_or(f32::NEG_INFINITY, |hit| hit.score_and_row().0);
        Bound::new(lambda, score, at, seen, nearest)
    };
    // The first is the nearest of all: nothing was chosen that it could be like.
    let mut heap = BinaryHeap::with_capacity(candidates.len());
    if !candidates.is_empty() {
        chosen.push(0);
        heap.extend((1..candidates.len()).map(|at| bound(at, 1, vectors.score(at, 0))));
    }
    while chosen.len() < keep {
        let Some(Bound { at: Reverse(at), seen, mut nearest, .. }) = heap.pop() else { break };
        // SAFETY: the caller's promise.
        unsafe { cancel.check()? };
        if seen == chosen.len() {
            chosen.push(at);
            continue;
        }
        for other in chosen.iter().skip(seen) {
            nearest = nearest.max(vectors.score(at, *other));
        }
        heap.push(bound(at, chosen.len(), nearest));
    }
    Some(chosen)
}

/// Where the vector of a hit is as f32: where it is stored, or in `row`, which it is written to. Zeros when its row is in no
/// segment.
///
/// # Safety
/// `bounds::check` accepted the plan, whose precision is not none, for the segments, and `row` has room for as many
/// elements as there are dimensions.
pub unsafe fn widened(plan: &SearchPlan, segments: &[Segment], hit: &Hit, row: *mut f32) -> *const f32 {
    let d = plan.dimensions as usize;
    let (_, at) = hit.score_and_row();
    let slot = at as usize % SLOTS;
    // SAFETY: the slot has a vector of `d` elements, and a scale for int8. The vector is read as it is: hits are checked
    // once more before they are returned.
    unsafe {
        match (segments.get(at as usize / SLOTS), plan.precision) {
            (None, _) => row.write_bytes(0, d),
            (Some(segment), F16) => f16::widen()(segment.vector(slot).cast(), row, d),
            (Some(segment), INT8) => quantise::dequantise()(segment.vector(slot).cast(), segment.scale(slot), row, d),
            (Some(segment), _) => return segment.vector(slot).cast(),
        }
    }
    row
}

/// Elements of memory that a thread keeps for its next choice: pages that are had anew are cleared first, which takes
/// longer than the choice.
const KEPT: usize = 1 << 19;

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Vectors of candidates as f32, one after the other.
struct Vectors<'a> {
    plan: &'a SearchPlan,
    segments: &'a [Segment],
    all: Vec<f32>,
    d: usize,
    kernel: dot::Dot,
    is_l2: bool,
}

impl Drop for Vectors<'_> {
    fn drop(&mut self) {
        let mut all = std::mem::take(&mut self.all);
        if all.capacity() <= KEPT {
            all.clear();
            SCRATCH.set(all);
        }
    }
}

impl<'a> Vectors<'a> {
    /// None yet, and room for `count`.
    fn new(plan: &'a SearchPlan, segments: &'a [Segment], count: usize) -> Self {
        let d = plan.dimensions as usize;
        let is_l2 = plan.metric == L2;
        let kernel = if is_l2 { l2::f32() } else { dot::f32() };
        let mut all = SCRATCH.take();
        all.reserve(count * d);
        Vectors { plan, segments, all, d, kernel, is_l2 }
    }

    /// Appends the vector of a hit; zeros when its row is in no segment.
    ///
    /// # Safety
    /// As for [`widened`].
    unsafe fn push(&mut self, hit: &Hit) {
        let d = self.d;
        self.all.reserve(d);
        let room: *mut f32 = self.all.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: the caller's promise, and `d` elements were reserved, all of which are written.
        unsafe {
            let vector = widened(self.plan, self.segments, hit, room);
            if vector != room.cast_const() {
                room.copy_from_nonoverlapping(vector, d);
            }
            self.all.set_len(self.all.len() + d);
        }
    }

    /// One of those that were appended.
    fn vector(&self, at: usize) -> Option<&[f32]> {
        self.all.get(at * self.d..(at + 1) * self.d)
    }

    /// The collection's score of one candidate against another.
    fn score(&self, a: usize, b: usize) -> f32 {
        let (Some(a), Some(b)) = (self.vector(a), self.vector(b)) else { return f32::NAN };
        // SAFETY: `d` elements each; the kernel was picked for this CPU.
        let sum = unsafe { (self.kernel)(a.as_ptr().cast(), b.as_ptr(), self.d) };
        if self.is_l2 { 0.0 - sum } else { sum }
    }
}
