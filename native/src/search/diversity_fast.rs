//! Maximal marginal relevance of nearly the same worth, from a part of the candidates and of the comparisons.
//!
//! - **A floor of relevance**: candidates are met in the order of their scores, and only while the next could be worth
//!   more than the best of those met, were it as unlike the chosen as the least alike of a few candidates that are spread
//!   over all.
//! - **A sample of the chosen**: by how many signs two vectors differ tells roughly how alike they are (`sketch.rs`). A
//!   candidate is compared with the few of the chosen that look nearest, as long as one may be nearer than the nearest is.

use super::diversity::{Bound, Vectors};
use super::rescore::Hit;
use super::scan::Cancel;
use super::segment::Segment;
use crate::kernels::sketch::{SKETCH_WORDS, Sketch};
use crate::norm::norm2;
use crate::plan::{COSINE, L2, SearchPlan};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Candidates, spread over all, that say how unlike the chosen the others may be.
const SAMPLED: usize = 16;
/// Chosen hits that a candidate is compared with, each time that it is looked at.
const COMPARED: usize = 4;
/// How much nearer a hit may be than it looks, as a cosine: the signs of 384 components err by .08, of like ones by less.
const MARGIN: f64 = 0.05;

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
    let keep = plan.keep as usize;
    let lambda = plan.lambda.unwrap_or(1.0);
    let score = |at: usize| candidates.get(at).map_or(f32::NEG_INFINITY, |hit| hit.score_and_row().0);
    let mut met = Sketches::new(plan, segments, candidates.len().min(4 * keep));
    // SAFETY: the caller's promise, here and below.
    let mut floor = unsafe { Floor::new(&mut met, candidates) };
    let mut chosen: Vec<usize> = Vec::with_capacity(keep);
    let mut looks = Looks::new(plan, keep);
    let mut heap: BinaryHeap<Bound> = BinaryHeap::with_capacity(4 * keep);
    let Some(first) = candidates.first() else { return Some(chosen) };
    // SAFETY: as above.
    unsafe { met.push(first) };
    let mut choose = |met: &Sketches, looks: &mut Looks, at: usize| {
        looks.choose(met, at);
        floor.choose(met, at, &looks.likeness);
        floor.nearest()
    };
    // The first is the nearest of all: nothing was chosen that it could be like.
    let mut floor = choose(&met, &mut looks, 0);
    chosen.push(0);
    let mut next = 1;
    while chosen.len() < keep {
        while let Some(hit) = candidates.get(next) {
            let hope = Bound::new(lambda, score(next), next, 0, floor).value;
            if heap.peek().is_some_and(|best| best.value > hope) {
                break;
            }
            // SAFETY: as above.
            unsafe { met.push(hit) };
            let nearest = looks.nearest(&met, next, &chosen, 0, f32::NEG_INFINITY);
            heap.push(Bound::new(lambda, score(next), next, chosen.len(), nearest));
            next += 1;
        }
        let Some(Bound { at: Reverse(at), seen, nearest, .. }) = heap.pop() else { break };
        // SAFETY: as above.
        unsafe { cancel.check()? };
        if seen == chosen.len() {
            floor = choose(&met, &mut looks, at);
            chosen.push(at);
            continue;
        }
        let nearest = looks.nearest(&met, at, &chosen, seen, nearest);
        heap.push(Bound::new(lambda, score(at), at, chosen.len(), nearest));
    }
    Some(chosen)
}

/// How alike two vectors look whose sketches differ by so many bits.
struct Likeness {
    metric: u32,
    /// Cosines by the bits that differ.
    cosines: Vec<f64>,
}

impl Likeness {
    fn new(plan: &SearchPlan) -> Self {
        let d = plan.dimensions;
        let cosine = |differing: u32| {
            let x = 1.0 - f64::from(2 * differing) / f64::from(d);
            // The sine of `x` quarter turns, within .0002: the cosine of the angle that the bits are a share of.
            let xx = x * x;
            x * (1.570_626_8 - xx * (0.643_229_2 - xx * 0.072_710_2))
        };
        Likeness { metric: plan.metric, cosines: (0..=d).map(cosine).collect() }
    }

    /// Of vectors of lengths `a` and `b`, were their cosine larger by `margin` than it looks.
    #[inline]
    fn of(&self, differing: u32, a: f64, b: f64, margin: f64) -> f64 {
        let cosine = self.cosines.get(differing as usize).copied().unwrap_or(0.0) + margin;
        match self.metric {
            COSINE => cosine,
            L2 => 2.0 * a * b * cosine - a * a - b * b,
            _ => a * b * cosine,
        }
    }
}

/// Vectors with their sketches and lengths.
struct Sketches<'a> {
    plan: &'a SearchPlan,
    vectors: Vectors<'a>,
    kernels: Sketch,
    words: usize,
    sketches: Vec<u64>,
    lengths: Vec<f64>,
}

impl<'a> Sketches<'a> {
    fn new(plan: &'a SearchPlan, segments: &'a [Segment], count: usize) -> Self {
        let words = (plan.dimensions as usize).div_ceil(64).next_multiple_of(SKETCH_WORDS);
        let vectors = Vectors::new(plan, segments, count);
        let (sketches, lengths) = (Vec::with_capacity(count * words), Vec::with_capacity(count));
        Sketches { plan, vectors, kernels: Sketch::pick(), words, sketches, lengths }
    }

    /// # Safety
    /// As for `Vectors::push`.
    unsafe fn push(&mut self, hit: &Hit) {
        let at = self.lengths.len();
        // SAFETY: the caller's promise.
        unsafe { self.vectors.push(hit) };
        let Some(x) = self.vectors.vector(at) else { return };
        self.sketches.resize((at + 1) * self.words, 0);
        if let Some(sketch) = self.sketches.get_mut(at * self.words..) {
            // SAFETY: a sketch has a bit for every component; the kernel was picked for this CPU.
            unsafe { (self.kernels.signs)(x.as_ptr(), x.len(), sketch.as_mut_ptr(), self.words) };
        }
        // With cosine nobody asks for it.
        let is_unit = self.plan.metric == COSINE;
        // SAFETY: the elements of `x`.
        self.lengths.push(if is_unit { 1.0 } else { unsafe { norm2(x.as_ptr(), x.len()) }.sqrt() });
    }

    fn clear(&mut self) {
        self.vectors.clear();
        self.sketches.clear();
        self.lengths.clear();
    }

    fn sketch(&self, at: usize) -> &[u64] {
        self.sketches.get(at * self.words..(at + 1) * self.words).unwrap_or(&[])
    }

    fn length(&self, at: usize) -> f64 {
        self.lengths.get(at).copied().unwrap_or(0.0)
    }

    /// Bits by which a sketch differs from each of a set.
    fn differing(&self, sketch: &[u64], set: &[u64], out: &mut [u32]) {
        if sketch.len() == self.words && set.len() == self.words * out.len() {
            // SAFETY: as many words as was just seen; the kernel was picked for this CPU.
            unsafe { (self.kernels.differing)(sketch.as_ptr(), set.as_ptr(), self.words, out) };
        }
    }
}

/// Comparisons with the chosen.
struct Looks {
    likeness: Likeness,
    /// Sketches of the chosen, one after the other, and their lengths.
    sketches: Vec<u64>,
    lengths: Vec<f64>,
    differing: Vec<u32>,
}

impl Looks {
    fn new(plan: &SearchPlan, keep: usize) -> Self {
        let (sketches, lengths) = (Vec::with_capacity(keep * SKETCH_WORDS), Vec::with_capacity(keep));
        Looks { likeness: Likeness::new(plan), sketches, lengths, differing: vec![0; keep] }
    }

    fn choose(&mut self, met: &Sketches, at: usize) {
        self.sketches.extend_from_slice(met.sketch(at));
        self.lengths.push(met.length(at));
    }

    /// The largest score of a candidate against the chosen from `seen` on that look nearest, or `nearest` if that is more.
    fn nearest(&mut self, met: &Sketches, at: usize, chosen: &[usize], seen: usize, mut nearest: f32) -> f32 {
        let length = met.length(at);
        let Some(differing) = self.differing.get_mut(seen..chosen.len()) else { return nearest };
        met.differing(met.sketch(at), self.sketches.get(seen * met.words..).unwrap_or(&[]), differing);
        let look = |place: usize, differing: u32| {
            self.likeness.of(differing, length, self.lengths.get(seen + place).copied().unwrap_or(0.0), MARGIN)
        };
        let score = |place: usize| chosen.get(seen + place).map_or(f32::NAN, |other| met.vectors.score(at, *other));
        // Those that look nearest, nearest first, ties in the order of the choice.
        let mut looks = [(f64::NEG_INFINITY, usize::MAX); COMPARED];
        for (place, differing) in differing.iter().enumerate() {
            let likeness = look(place, *differing);
            let rank = looks.iter().take_while(|entry| entry.0 >= likeness).count();
            if let Some(behind) = looks.get_mut(rank..) {
                behind.rotate_right(behind.len().min(1));
                if let Some(entry) = behind.first_mut() {
                    *entry = (likeness, place);
                }
            }
        }
        for (likeness, place) in looks {
            if likeness <= f64::from(nearest) {
                break;
            }
            nearest = nearest.max(score(place));
        }
        nearest
    }
}

/// How unlike the chosen candidates are that were not met yet.
struct Floor {
    /// Sketches and lengths of the sample.
    sketches: Vec<u64>,
    lengths: Vec<f64>,
    /// The largest likeness of each of them to a chosen one.
    nearest: Vec<f64>,
    differing: Vec<u32>,
}

impl Floor {
    /// A sample of the candidates; `met` is lent for it.
    ///
    /// # Safety
    /// As for `Vectors::push`.
    unsafe fn new(met: &mut Sketches, candidates: &[Hit]) -> Self {
        let step = (candidates.len() / SAMPLED).max(1);
        for hit in candidates.iter().skip(step / 2).step_by(step).take(SAMPLED) {
            // SAFETY: the caller's promise.
            unsafe { met.push(hit) };
        }
        let count = met.lengths.len();
        let (sketches, lengths) = (met.sketches.clone(), met.lengths.clone());
        met.clear();
        Floor { sketches, lengths, nearest: vec![f64::NEG_INFINITY; count], differing: vec![0; count] }
    }

    /// The least that one of the sample is like the chosen.
    fn nearest(&self) -> f32 {
        self.nearest.iter().fold(f64::INFINITY, |least, nearest| least.min(*nearest)) as f32
    }

    fn choose(&mut self, met: &Sketches, at: usize, likeness: &Likeness) {
        met.differing(met.sketch(at), &self.sketches, &mut self.differing);
        for ((nearest, differing), length) in self.nearest.iter_mut().zip(&self.differing).zip(&self.lengths) {
            *nearest = nearest.max(likeness.of(*differing, met.length(at), *length, 0.0));
        }
    }
}
