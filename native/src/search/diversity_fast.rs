//! Maximal marginal relevance of nearly the same worth, from a part of the candidates and of the comparisons.
//!
//! - **A floor of relevance**: the candidates that are met are the best by score, four times as many as are chosen, and a few
//!   that are spread over the others. Where one of those is worth most, what lies above it is met as well.
//! - **A sample of the chosen**: beyond a number of them, not every one that is chosen is compared with what is left.
//! - **Copies** of what is met, of one byte a component: they are compared in a sixth of the time.
//!
//! Where relevance decides less, or nearly all candidates would be met, the exact choice is made.

use super::diversity::load;
use super::rescore::Hit;
use super::scan::Cancel;
use super::segment::Segment;
use crate::kernels::int8;
use crate::kernels::int8_rows::{self, DotRows, ROWS};
use crate::kernels::quantise::Steps;
use crate::plan::{L2, SearchPlan};

/// Candidates that are met, for each that is chosen.
const MET_A_CHOICE: usize = 4;
/// Candidates that are met at least.
const LEAST_MET: usize = 32;
/// Candidates that are spread over all.
const SPREAD: usize = 16;
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

/// Positions of the chosen candidates in the order of the choice; `None` when cancelled.
///
/// # Safety
/// As for `diversity::diverse`.
pub unsafe fn chosen(
    plan: &SearchPlan,
    segments: &[Segment],
    candidates: &[Hit],
    cancel: &Cancel,
) -> Option<Vec<usize>> {
    let (keep, count) = (plan.keep as usize, candidates.len());
    let mut met = Met::new(plan, segments, candidates);
    // Candidates before this one are met, and of the others some.
    let mut floor = count.min(LEAST_MET.max(MET_A_CHOICE * keep));
    let step = (count / SPREAD).max(1);
    let spread = (step / 2..count).step_by(step).filter(|at| *at >= floor);
    for at in (0..floor).chain(spread) {
        // SAFETY: the caller's promise, here and below.
        unsafe { met.push(at) };
    }
    let mut chosen = Vec::with_capacity(keep.min(count));
    // The first is the nearest of all: nothing was chosen that it could be like.
    let mut best = (!met.left.is_empty()).then_some(0);
    while let Some(place) = best {
        // SAFETY: the cancel word is inside `control`.
        unsafe { cancel.check()? };
        let at = met.left.get(place).map_or(0, |left| left.at);
        if at >= floor {
            // What is above it may be worth as much, and as much below as there are others that are worth more than all
            // that were met above the floor.
            let end = count.min((at + 1).max(floor + step * met.better(floor).saturating_sub(1)));
            for at in floor..end {
                // SAFETY: as above.
                unsafe { met.push(at) };
            }
            floor = end;
            best = met.best();
        } else {
            chosen.push(at);
            if chosen.len() == keep {
                break;
            }
            let before = chosen.len() - 1;
            best = met.choose(place, before.is_multiple_of(before / COMPARED + 1));
        }
    }
    Some(chosen)
}

/// A candidate that was met and not chosen.
struct Left {
    /// Position among the candidates.
    at: usize,
    copy: Copied,
    score: f32,
    /// The largest score that it has against one of the chosen.
    nearest: f32,
}

/// A vector of steps of one size.
#[derive(Clone, Copy)]
struct Copied {
    /// Which of all.
    number: usize,
    scale: f64,
    /// Squared length: 0 but for l2.
    squares: f64,
}

/// Candidates that were met, with a copy of each.
struct Met<'a> {
    plan: &'a SearchPlan,
    segments: &'a [Segment],
    candidates: &'a [Hit],
    left: Vec<Left>,
    /// Whether a candidate was met.
    known: Vec<bool>,
    /// Copies of the chosen that are compared.
    compared: Vec<Copied>,
    steps: Vec<i8>,
    row: Vec<f32>,
    dots: DotRows,
    quantise: Steps,
}

impl<'a> Met<'a> {
    fn new(plan: &'a SearchPlan, segments: &'a [Segment], candidates: &'a [Hit]) -> Self {
        let (d, count) = (plan.dimensions as usize, candidates.len());
        let usual = count.min(LEAST_MET.max(MET_A_CHOICE * plan.keep as usize) + SPREAD);
        Met {
            plan,
            segments,
            candidates,
            left: Vec::with_capacity(usual),
            known: vec![false; count],
            compared: Vec::new(),
            steps: Vec::with_capacity(usual * d),
            row: vec![0.0; d],
            dots: int8_rows::dot_rows(),
            quantise: Steps::pick(),
        }
    }

    /// Meets a candidate, unless that was done.
    ///
    /// # Safety
    /// As for `diversity::load`.
    unsafe fn push(&mut self, at: usize) {
        let (Some(hit), Some(known)) = (self.candidates.get(at), self.known.get_mut(at)) else { return };
        if std::mem::replace(known, true) {
            return;
        }
        let d = self.row.len();
        let number = self.steps.len() / d;
        self.steps.resize((number + 1) * d, 0);
        let (row, steps) = (self.row.as_mut_ptr(), self.steps.as_mut_ptr().wrapping_add(number * d));
        // SAFETY: `row` and the end of `steps` are `d` elements each, and the kernels were picked for this CPU.
        let (scale, squares) = unsafe {
            load(self.plan, self.segments, hit, row);
            let scale = self.quantise.write(row, steps, d);
            (f64::from(scale), if self.plan.metric == L2 { int8::sum_squares()(steps, d) } else { 0 })
        };
        let copy = Copied { number, scale, squares: f64::from(squares) * scale * scale };
        let mut nearest = f32::NEG_INFINITY;
        for others in self.compared.chunks(ROWS) {
            let scores = self.scores(copy, others.iter().copied());
            nearest = scores.into_iter().take(others.len()).fold(nearest, f32::max);
        }
        let (score, _) = hit.score_and_row();
        self.left.push(Left { at, copy, score, nearest });
    }

    /// Takes what is at `place` out of those that are left, and compares it with them; where the one is then that is
    /// worth most.
    fn choose(&mut self, place: usize, is_compared: bool) -> Option<usize> {
        let copy = self.left.swap_remove(place).copy;
        if !is_compared {
            return self.best();
        }
        self.compared.push(copy);
        let mut best = Best::new(self.plan);
        let mut left = std::mem::take(&mut self.left);
        for (i, some) in left.chunks_mut(ROWS).enumerate() {
            let scores = self.scores(copy, some.iter().map(|left| left.copy));
            for ((place, left), score) in (ROWS * i..).zip(some).zip(scores) {
                left.nearest = left.nearest.max(score);
                best.offer(place, left);
            }
        }
        self.left = left;
        best.place
    }

    /// Where the one is that is worth most.
    fn best(&self) -> Option<usize> {
        let mut best = Best::new(self.plan);
        self.left.iter().enumerate().for_each(|(place, left)| best.offer(place, left));
        best.place
    }

    /// How many from `floor` on are worth more than all before it.
    fn better(&self, floor: usize) -> usize {
        let mut best = Best::new(self.plan);
        self.left.iter().filter(|left| left.at < floor).for_each(|left| best.offer(0, left));
        self.left.iter().filter(|left| left.at >= floor && best.worth(left) > best.most).count()
    }

    /// The collection's score of one copy against others, at most as many as the kernel takes.
    fn scores(&self, one: Copied, others: impl Iterator<Item = Copied>) -> [f32; ROWS] {
        let d = self.row.len();
        let steps = |copy: Copied| self.steps.as_ptr().wrapping_add(copy.number * d);
        let mut copies = [one; ROWS];
        copies.iter_mut().zip(others).for_each(|(copy, other)| *copy = other);
        // SAFETY: every copy has `d` elements, and the kernel was picked for this CPU.
        let dots = unsafe { (self.dots)(&copies.map(steps), steps(one), d) };
        let mut scores = [0.0; ROWS];
        for ((score, dot), other) in scores.iter_mut().zip(dots).zip(copies) {
            let product = f64::from(dot) * one.scale * other.scale;
            let is_l2 = self.plan.metric == L2;
            *score = (if is_l2 { 2.0 * product - one.squares - other.squares } else { product }) as f32;
        }
        scores
    }
}

/// The one of all that were offered that is worth most; of equals the better ranked.
struct Best {
    lambda: f64,
    most: f64,
    at: usize,
    place: Option<usize>,
}

impl Best {
    fn new(plan: &SearchPlan) -> Self {
        Best { lambda: plan.lambda.unwrap_or(1.0), most: f64::NEG_INFINITY, at: usize::MAX, place: None }
    }

    #[inline(always)]
    fn worth(&self, left: &Left) -> f64 {
        self.lambda * f64::from(left.score) - (1.0 - self.lambda) * f64::from(left.nearest)
    }

    #[inline(always)]
    fn offer(&mut self, place: usize, left: &Left) {
        let worth = self.worth(left);
        if worth > self.most || (worth == self.most && left.at < self.at) || self.place.is_none() {
            (self.most, self.at, self.place) = (worth, left.at, Some(place));
        }
    }
}
