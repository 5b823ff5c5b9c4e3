//! Maximal marginal relevance of nearly the same worth, from a part of the candidates and of the comparisons.
//!
//! - **A floor of relevance**: the candidates that are met are the best by score, some more than twice as many as are chosen, and
//!   a sample of the others. Where one of those is worth most, the others are put in order and what lies above it is met as well.
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

/// Candidates that are met for each that is chosen, and those that are met anyway.
const MET_A_CHOICE: usize = 2;
const MET_ANYWAY: usize = 20;
/// One of so many others is met, and so many further down for each of them that turns out to be worth more.
const OTHERS_A_MET: usize = 32;
/// What spreads numbers of rows over all numbers: 2^32 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
const SPREADER: u32 = 0x9e37_79b1;
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

/// Candidates that are met at first, from the best on, for so many that are chosen.
fn met_at_first(keep: usize) -> usize {
    MET_ANYWAY + MET_A_CHOICE * keep
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
    // Candidates before this one are met, and of the others some.
    let mut floor = count.min(met_at_first(keep));
    nth_best(candidates, floor);
    if let Some(best) = candidates.get_mut(..floor) {
        best.sort_unstable_by_key(best_first);
    }
    let mut met = Met::new(plan, segments, candidates);
    let sample = met.sample(floor);
    let mut ahead = (0..floor).chain(sample.iter().copied());
    ahead.by_ref().take(AHEAD).for_each(|at| met.prefetch(at));
    for at in (0..floor).chain(sample.iter().copied()) {
        ahead.next().into_iter().for_each(|at| met.prefetch(at));
        // SAFETY: the caller's promise, here and below.
        unsafe { met.push(at) };
    }
    let mut chosen = Vec::with_capacity(keep.min(count));
    // The first is the nearest of all: nothing was chosen that it could be like.
    let mut best = (count > 0).then_some(Best { number: 0, at: 0, worth: 0.0 });
    while let Some(Best { number, at, .. }) = best {
        // SAFETY: the cancel word is inside `control`.
        unsafe { cancel.check()? };
        if at >= floor {
            if met.put_in_order(floor) {
                best = met.best();
                continue;
            }
            // What is above it may be worth as much, and as much below as there are others that are worth more than all
            // that were met above the floor.
            let end = count.min((at + 1).max(floor + OTHERS_A_MET * met.better(floor).saturating_sub(1)));
            for at in floor..end {
                // SAFETY: as above.
                unsafe { met.push(at) };
            }
            floor = end;
        } else {
            chosen.push(at);
            if chosen.len() == keep {
                break;
            }
            let before = chosen.len() - 1;
            met.choose(number, before.is_multiple_of(before / COMPARED + 1));
        }
        best = met.best();
    }
    Some(chosen)
}

/// One of the chosen, which those that are left are compared with.
struct Compared {
    /// Which of all that were met.
    number: usize,
    copied: Copied,
}

/// Candidates that were met, with a copy of each.
struct Met<'a> {
    plan: &'a SearchPlan,
    segments: &'a [Segment],
    candidates: &'a mut [Hit],
    /// Whether all candidates are in order.
    is_in_order: bool,
    all: Vec<Few>,
    /// Of the last of these, how many there are.
    last: usize,
    /// Their copies.
    steps: Vec<i8>,
    /// Whether a candidate was met.
    known: Vec<bool>,
    compared: Vec<Compared>,
    row: Vec<f32>,
    dots: DotRows,
    quantise: Steps,
}

impl<'a> Met<'a> {
    fn new(plan: &'a SearchPlan, segments: &'a [Segment], candidates: &'a mut [Hit]) -> Self {
        let (d, count) = (plan.dimensions as usize, candidates.len());
        let usual = count.min(met_at_first(plan.keep as usize) + count / OTHERS_A_MET).next_multiple_of(ROWS);
        Met {
            plan,
            segments,
            candidates,
            is_in_order: false,
            all: Vec::with_capacity(usual / ROWS),
            last: ROWS,
            steps: Vec::with_capacity(usual * d),
            known: vec![false; count],
            compared: Vec::with_capacity(plan.keep as usize),
            row: vec![0.0; d],
            dots: int8_rows::dot_rows(),
            quantise: Steps::pick(),
        }
    }

    /// A sample of the candidates from `floor` on, the same in whatever order they are.
    fn sample(&self, floor: usize) -> Vec<usize> {
        let below = (floor..).zip(self.candidates.get(floor..).unwrap_or_default());
        let is_met = |hit: &Hit| hit.score_and_row().1.wrapping_mul(SPREADER) < u32::MAX / OTHERS_A_MET as u32 + 1;
        below.filter(|(_, hit)| is_met(hit)).map(|(at, _)| at).collect()
    }

    /// Asks for the vector of a candidate.
    fn prefetch(&self, at: usize) {
        let row = self.candidates.get(at).map_or(0, |hit| hit.score_and_row().1) as usize;
        if let Some(segment) = self.segments.get(row / SLOTS) {
            segment.prefetch_row(row % SLOTS);
        }
    }

    /// Puts the candidates in order from `floor` on: false where that was done. None of these is chosen yet.
    fn put_in_order(&mut self, floor: usize) -> bool {
        if std::mem::replace(&mut self.is_in_order, true) {
            return false;
        }
        let (Some(known), Some((_, below))) =
            (self.known.get_mut(floor..), self.candidates.split_at_mut_checked(floor))
        else {
            return false;
        };
        let met = self.all.iter_mut().flat_map(|few| few.at.iter_mut()).filter(|at| **at >= floor);
        let met: Vec<_> = met.filter_map(|at| Some((below.get(*at - floor).copied()?, at))).collect();
        below.sort_unstable_by_key(best_first);
        known.fill(false);
        for (hit, at) in met {
            let place = below.partition_point(|other| best_first(other) < best_first(&hit));
            *at = floor + place;
            if let Some(known) = known.get_mut(place) {
                *known = true;
            }
        }
        true
    }

    /// Meets a candidate, unless that was done.
    ///
    /// # Safety
    /// As for `diversity::widened`.
    unsafe fn push(&mut self, at: usize) {
        let (Some(hit), Some(known)) = (self.candidates.get(at), self.known.get_mut(at)) else { return };
        if std::mem::replace(known, true) {
            return;
        }
        let d = self.row.len();
        // What was compared is left as it is.
        if self.last == ROWS || self.all.last().is_none_or(|few| few.compared > 0) {
            self.all.push(Few::NONE);
            self.steps.resize(self.all.len() * ROWS * d, 0);
            self.last = 0;
        }
        let place = self.last;
        self.last += 1;
        let from = ((self.all.len() - 1) * ROWS + place) * d;
        let (row, steps) = (self.row.as_mut_ptr(), self.steps.as_mut_ptr().wrapping_add(from));
        // SAFETY: `row` and what `steps` has from there on are `d` elements at least, and the kernels were picked for this CPU.
        let (scale, squares) = unsafe {
            let vector = widened(self.plan, self.segments, hit, row);
            let scale = self.quantise.write(vector, steps, d);
            (scale, if self.plan.metric == L2 { int8::sum_squares()(steps, d) } else { 0 })
        };
        let (score, _) = hit.score_and_row();
        if let Some(few) = self.all.last_mut() {
            let squares = squares as f32 * scale * scale;
            few.put(place, at, score, Copied { scale, squares });
        }
    }

    /// Takes one out of those that are left, which it may be compared with from now on.
    fn choose(&mut self, number: usize, is_compared: bool) {
        let Some(few) = self.all.get_mut(number / ROWS) else { return };
        if let Some(copied) = few.take(number % ROWS).filter(|_| is_compared) {
            self.compared.push(Compared { number, copied });
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
                few.each().for_each(|(place, at, worth)| {
                    Best::offer(&mut best, Best { number: ROWS * i + place, at, worth })
                });
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

    /// How many from `floor` on are worth more than all before it.
    fn better(&mut self, floor: usize) -> usize {
        let mut all = std::mem::take(&mut self.all);
        all.iter_mut().enumerate().for_each(|(i, few)| self.compare(i, few));
        let above = all.iter().flat_map(Few::each).filter(|(_, at, _)| *at < floor);
        let most = above.fold(f32::NEG_INFINITY, |most, (_, _, worth)| most.max(worth));
        let better = all.iter().flat_map(Few::each).filter(|(_, at, worth)| *at >= floor && *worth > most).count();
        self.all = all;
        better
    }

    /// Compares the `i`th few with what was chosen since that was done.
    fn compare(&self, i: usize, few: &mut Few) {
        let d = self.row.len();
        let steps = |number: usize| self.steps.as_ptr().wrapping_add(number * d);
        let rows: [_; ROWS] = array::from_fn(|place| steps(ROWS * i + place));
        let times = if self.plan.metric == L2 { 2.0 } else { 1.0 };
        for chosen in self.compared.iter().skip(few.compared) {
            // SAFETY: every copy has `d` elements, and the kernel was picked for this CPU.
            let dots = unsafe { (self.dots)(&rows, steps(chosen.number), d) };
            few.compared_with(dots.map(|dot| dot as f32), times * chosen.copied.scale, chosen.copied.squares);
        }
        few.compared = self.compared.len();
        few.weigh(self.plan.lambda.unwrap_or(1.0) as f32);
    }
}

/// The one of all that were offered that is worth most; of equals the better ranked.
#[derive(Clone, Copy)]
struct Best {
    number: usize,
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
