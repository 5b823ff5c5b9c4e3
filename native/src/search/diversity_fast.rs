//! Maximal marginal relevance of nearly the same worth, from a part of the candidates and of the comparisons.
//!
//! - **A floor of relevance**: the candidates that are met are the best by score, some more than half as many again as are
//!   chosen. Where those that are left are much more like what was chosen than the ones before them were, one below the
//!   floor may be worth more: as many again are met, and the choice is made anew.
//! - **A sample of the chosen**: beyond a number of them, not every one that is chosen is compared with what is left.
//! - **Copies** of what is met, of one byte a component: they are compared in a sixth of the time. A worth only falls, so
//!   that those which are behind by what they were worth are not compared with what was chosen since.
//!
//! Where relevance decides less, or nearly all candidates would be met, the exact choice is made.

mod few;

use super::diversity::widened;
use super::rescore::{Hit, best_first, nth_best};
use super::scan::Cancel;
use super::segment::Segment;
use crate::kernels::int8;
use crate::kernels::int8_rows::{self, DotRows, ROWS};
use crate::kernels::quantise::Steps;
use crate::plan::{L2, SLOTS, SearchPlan};
use few::{Copied, Few};
use std::array;

/// Candidates that are met for every two that are chosen, and those that are met anyway.
const MET_TWO_CHOICES: usize = 3;
const MET_ANYWAY: usize = 20;
/// A loss that is let pass, as a part of what the best that was met is worth.
const LET_PASS: f32 = 0.01;
/// Candidates ahead whose vectors are asked for: they lie anywhere in memory.
const AHEAD: usize = 4;
/// Of the chosen so many are compared with what is left, then every other one of as many, every third, and so on.
const COMPARED: usize = 128;
/// Least weight of relevance, and where many are chosen: with less the furthest may be worth most, and all must be met.
const LEAST_LAMBDA: f64 = 0.7;
const LEAST_LAMBDA_OF_MANY: f64 = 0.8;
const MANY: u32 = 64;
/// Least number of candidates, and of candidates for each that is chosen: of fewer nearly all are looked at anyway.
const LEAST_CANDIDATES: usize = 65;
const CANDIDATES_A_CHOICE: usize = 4;

/// Whether a choice from a part of so many candidates keeps nearly all of its worth; the exact one is made where not.
pub fn keeps_worth(plan: &SearchPlan, count: usize) -> bool {
    let least_lambda = if plan.keep > MANY { LEAST_LAMBDA_OF_MANY } else { LEAST_LAMBDA };
    let least_count = LEAST_CANDIDATES.max(CANDIDATES_A_CHOICE * plan.keep as usize);
    plan.lambda.unwrap_or(1.0) >= least_lambda && count >= least_count
}

/// Positions of the chosen candidates, in the order of the choice; they are put in order as far as that is needed. `None`
/// when cancelled.
///
/// # Safety
/// As for `diversity::diverse`.
pub unsafe fn chosen(
    plan: &SearchPlan,
    segments: &[Segment],
    candidates: &mut [Hit],
    cancel: &Cancel,
) -> Option<Vec<usize>> {
    let (keep, count) = (plan.keep as usize, candidates.len());
    let mut met = Met::new(plan, segments);
    // SAFETY: the caller's promise, here and below.
    unsafe { met.meet(candidates, count.min(MET_ANYWAY + MET_TWO_CHOICES * keep / 2)) };
    let mut chosen = Vec::with_capacity(keep.min(count));
    // The first is the nearest of all: nothing was chosen that it could be like.
    let first = (count > 0).then_some(Best { at: 0, worth: 0.0 });
    let mut best = first;
    // What the last one lost by being like one that was chosen before it.
    let mut likeness = None;
    while let Some(Best { at, worth }) = best {
        // SAFETY: the cancel word is inside `control`.
        unsafe { cancel.check()? };
        if !chosen.is_empty() {
            let least = likeness.unwrap_or_else(|| met.novelty * met.score(at));
            if met.count < count && met.may_be_worth_more(worth, least) {
                chosen.clear();
                met.begin_anew();
                // SAFETY: as above.
                unsafe { met.meet(candidates, count.min(2 * met.count)) };
                (best, likeness) = (first, None);
                continue;
            }
            likeness = Some(met.relevance * met.score(at) - worth);
        }
        chosen.push(at);
        if chosen.len() == keep {
            break;
        }
        let before = chosen.len() - 1;
        met.choose(at, before.is_multiple_of(before / COMPARED + 1));
        best = met.best();
    }
    Some(chosen)
}

/// One of the chosen, which those that are left are compared with.
struct Compared {
    at: usize,
    copied: Copied,
}

/// Candidates that were met, with a copy of each.
struct Met<'a> {
    plan: &'a SearchPlan,
    segments: &'a [Segment],
    relevance: f32,
    novelty: f32,
    /// How many were met: the best.
    count: usize,
    all: Vec<Few>,
    /// Their copies.
    steps: Vec<i8>,
    compared: Vec<Compared>,
    row: Vec<f32>,
    dots: DotRows,
    quantise: Steps,
}

impl<'a> Met<'a> {
    fn new(plan: &'a SearchPlan, segments: &'a [Segment]) -> Self {
        let relevance = plan.lambda.unwrap_or(1.0) as f32;
        Met {
            plan,
            segments,
            relevance,
            novelty: 1.0 - relevance,
            count: 0,
            all: Vec::new(),
            steps: Vec::new(),
            compared: Vec::with_capacity(plan.keep as usize),
            row: vec![0.0; plan.dimensions as usize],
            dots: int8_rows::dot_rows(),
            quantise: Steps::pick(),
        }
    }

    /// Meets the best `count` candidates, of which some were met. Nothing is chosen.
    ///
    /// # Safety
    /// As for `diversity::diverse`.
    unsafe fn meet(&mut self, candidates: &mut [Hit], count: usize) {
        let Some(left) = candidates.get_mut(self.count..) else { return };
        let more = count - self.count;
        nth_best(left, more);
        let Some(left) = left.get_mut(..more) else { return };
        left.sort_unstable_by_key(best_first);
        let few = count.div_ceil(ROWS);
        self.all.resize_with(few, || Few::NONE);
        self.steps.resize(few * ROWS * self.row.len(), 0);
        let mut ahead = left.iter();
        ahead.by_ref().take(AHEAD).for_each(|hit| self.prefetch(hit));
        for hit in left.iter() {
            ahead.next().into_iter().for_each(|hit| self.prefetch(hit));
            // SAFETY: the caller's promise.
            unsafe { self.copy(hit) };
        }
    }

    /// Asks for the vector of a candidate.
    fn prefetch(&self, hit: &Hit) {
        let row = hit.score_and_row().1 as usize;
        if let Some(segment) = self.segments.get(row / SLOTS) {
            segment.prefetch_row(row % SLOTS);
        }
    }

    /// Copies the next candidate.
    ///
    /// # Safety
    /// As for `diversity::widened`; `steps` and `all` have room for it.
    unsafe fn copy(&mut self, hit: &Hit) {
        let (d, at) = (self.row.len(), self.count);
        let (row, steps) = (self.row.as_mut_ptr(), self.steps.as_mut_ptr().wrapping_add(at * d));
        // SAFETY: `row` and what `steps` has from there on are `d` elements at least, and the kernels were picked for this CPU.
        let (scale, squares) = unsafe {
            let vector = widened(self.plan, self.segments, hit, row);
            let scale = self.quantise.write(vector, steps, d);
            (scale, if self.plan.metric == L2 { int8::sum_squares()(steps, d) } else { 0 })
        };
        if let Some(few) = self.all.get_mut(at / ROWS) {
            let squares = squares as f32 * scale * scale;
            few.put(at % ROWS, hit.score_and_row().0, Copied { scale, squares });
        }
        self.count += 1;
    }

    fn score(&self, at: usize) -> f32 {
        self.all.get(at / ROWS).map_or(f32::NEG_INFINITY, |few| few.score(at % ROWS))
    }

    /// Whether one that was not met may be worth more than the best that was: were it no more like the chosen than what loses
    /// `least` by it. Where the best is worth nothing, being like the chosen decides (`l2` has no such zero).
    fn may_be_worth_more(&self, worth: f32, least: f32) -> bool {
        let hoped = self.relevance * self.score(self.count - 1) - least;
        (self.plan.metric != L2 && worth <= 0.0) || hoped - worth > LET_PASS * worth.abs()
    }

    /// Takes nothing for chosen.
    fn begin_anew(&mut self) {
        self.compared.clear();
        self.all.iter_mut().for_each(Few::begin_anew);
    }

    /// Takes one out of those that are left, which it may be compared with from now on.
    fn choose(&mut self, at: usize, is_compared: bool) {
        let Some(few) = self.all.get_mut(at / ROWS) else { return };
        if let Some(copied) = few.take(at % ROWS).filter(|_| is_compared) {
            self.compared.push(Compared { at, copied });
        }
    }

    /// The one that is worth most. A worth can only have fallen since it was known, so that what is behind by it is not
    /// looked at.
    fn best(&mut self) -> Option<Best> {
        let mut all = std::mem::take(&mut self.all);
        let mut best = None;
        let mut look = |i: usize, few: &mut Few| {
            let is_behind = |best: Option<Best>, few: &Few| best.is_some_and(|best| best.worth > few.bound);
            if is_behind(best, few) {
                return;
            }
            self.compare(i, few);
            if !is_behind(best, few) {
                few.each().for_each(|(place, worth)| Best::offer(&mut best, Best { at: ROWS * i + place, worth }));
            }
        };
        // The likeliest first: it spares most of the others.
        let likely = all.iter_mut().enumerate().max_by(|(_, a), (_, b)| a.bound.total_cmp(&b.bound));
        if let Some((i, few)) = likely {
            look(i, few);
        }
        all.iter_mut().enumerate().for_each(|(i, few)| look(i, few));
        self.all = all;
        best
    }

    /// Compares the `i`th few with what was chosen since that was done.
    fn compare(&self, i: usize, few: &mut Few) {
        let d = self.row.len();
        let steps = |at: usize| self.steps.as_ptr().wrapping_add(at * d);
        let rows: [_; ROWS] = array::from_fn(|place| steps(ROWS * i + place));
        let times = if self.plan.metric == L2 { 2.0 } else { 1.0 };
        for chosen in self.compared.iter().skip(few.compared) {
            // SAFETY: every copy has `d` elements, and the kernel was picked for this CPU.
            let dots = unsafe { (self.dots)(&rows, steps(chosen.at), d) };
            few.compared_with(dots.map(|dot| dot as f32), times * chosen.copied.scale, chosen.copied.squares);
        }
        few.compared = self.compared.len();
        few.weigh(self.relevance, self.novelty);
    }
}

/// The one of all that were offered that is worth most; of equals the better ranked.
#[derive(Clone, Copy)]
struct Best {
    at: usize,
    worth: f32,
}

impl Best {
    #[inline(always)]
    fn offer(best: &mut Option<Best>, other: Best) {
        let is_best = |best: Best| best.worth > other.worth || (best.worth == other.worth && best.at < other.at);
        if !best.is_some_and(is_best) {
            *best = Some(other);
        }
    }
}
