//! The second stage: candidates become hits once their rows are known to be whole.

use super::scan::Cancel;
use super::scorer::Scorer;
use super::segment::Segment;
use crate::filter::Program;
use crate::plan::SLOTS;
use crate::select::{pack, unpack};
use std::cmp::Reverse;

/// Candidates between two looks at the cancel word.
const CANCEL_ROWS: usize = 4096;
/// Candidates ahead whose rows are asked for: they lie anywhere in memory.
const AHEAD: usize = 8;

/// A row that is whole and live, with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    entry: u64,
    /// First-stage score.
    pub estimate: f32,
    /// Generation of the row when it was scored.
    pub generation: u16,
}

impl Hit {
    /// The final score and the row.
    pub fn score_and_row(&self) -> (f32, u32) {
        unpack(self.entry)
    }
}

/// Which candidates are scored when not all are worth it.
#[derive(Clone, Copy)]
pub struct Depth {
    /// How many are scored in any case, at least one.
    pub first: usize,
    /// Hits wanted.
    pub wanted: usize,
}

/// A candidate may be so many times as far from its estimate as those before it were on the whole.
const DOUBT: f64 = 1.75;

/// What candidates are rows of, and must still pass: fields may change while a row is live.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The segments searched.
    pub segments: &'a [Segment],
    /// The filter, checked with them.
    pub filter: Option<&'a Program>,
}

impl Source<'_> {
    /// Whether a slot passes the filter.
    ///
    /// # Safety
    /// `slot` is one of the segment's.
    #[inline(always)]
    unsafe fn passes(&self, segment: &Segment, slot: usize) -> bool {
        // SAFETY: the caller's promise.
        self.filter.is_none_or(|filter| unsafe { filter.passes(segment.rows(), slot) })
    }
}

/// Scores candidates with the stored vectors: the best `most` of them, in any order. `exhaustive` says that what they were
/// found by is their score, which then stands for the estimate. `None` when cancelled.
///
/// # Safety
/// The candidates are rows of the segments, `query` is one of the scorer's, and the cancel word
/// is mapped.
pub unsafe fn scored(
    source: Source,
    scorer: &Scorer,
    query: usize,
    candidates: Vec<(f32, u32)>,
    exhaustive: bool,
    most: usize,
    cancel: &Cancel,
) -> Option<Vec<Hit>> {
    let segments = source.segments;
    let mut found = Vec::with_capacity(candidates.len());
    let mut ahead = candidates.iter();
    for (_, row) in ahead.by_ref().take(AHEAD) {
        prefetch(segments, *row);
    }
    for (i, (estimate, row)) in candidates.iter().enumerate() {
        if i % CANCEL_ROWS == 0 {
            // SAFETY: the caller's promise.
            unsafe { cancel.check() }?;
        }
        if let Some((_, row)) = ahead.next() {
            prefetch(segments, *row);
        }
        let Some((segment, slot)) = locate(segments, *row) else { continue };
        // SAFETY: a row is a slot of its segment.
        let whole =
            unsafe { segment.whole(slot, || source.passes(segment, slot).then(|| scorer.score(segment, slot, query))) };
        if let Some((Some(score), generation)) = whole {
            found.push(Hit { entry: pack(score, *row), estimate: *estimate, generation });
        }
    }
    keep_best(&mut found, most);
    if exhaustive {
        for hit in &mut found {
            (hit.estimate, _) = hit.score_and_row();
        }
    }
    Some(found)
}

/// Candidates that keep their estimates as scores, in any order.
///
/// # Safety
/// The candidates are rows of the segments.
pub unsafe fn confirmed(source: Source, candidates: Vec<(f32, u32)>) -> Vec<Hit> {
    let hit = |(estimate, row): (f32, u32)| {
        let (segment, slot) = locate(source.segments, row)?;
        // SAFETY: a row is a slot of its segment.
        let (passes, generation) = unsafe { segment.whole(slot, || source.passes(segment, slot)) }?;
        passes.then_some(Hit { entry: pack(estimate, row), estimate, generation })
    };
    candidates.into_iter().filter_map(hit).collect()
}

/// As [`scored`] for the best `depth.first` candidates by estimate, and for those of the others that may be among the hits:
/// whose estimate is as near to the score of the last of them as estimates are to scores.
///
/// # Safety
/// As for [`scored`].
pub unsafe fn scored_deeply(
    source: Source,
    scorer: &Scorer,
    query: usize,
    mut candidates: Vec<(f32, u32)>,
    depth: Depth,
    cancel: &Cancel,
) -> Option<Vec<Hit>> {
    if candidates.len() <= depth.first {
        // SAFETY: the caller's promise, here and below.
        return unsafe { scored(source, scorer, query, candidates, false, usize::MAX, cancel) };
    }
    candidates.select_nth_unstable_by_key(depth.first - 1, |(estimate, row)| Reverse(pack(*estimate, *row)));
    let rest = candidates.split_off(depth.first);
    // SAFETY: as above.
    let mut found = unsafe { scored(source, scorer, query, candidates, false, usize::MAX, cancel)? };
    let least = match nth_best(&mut found, depth.wanted - 1) {
        Some(last) => {
            let off = |hit: &Hit| (f64::from(hit.score_and_row().0) - f64::from(hit.estimate)).powi(2);
            let mean = found.iter().map(off).sum::<f64>() / found.len() as f64;
            f64::from(last.score_and_row().0) - DOUBT * mean.sqrt()
        }
        None => f64::NEG_INFINITY,
    };
    let near = rest.into_iter().filter(|(estimate, _)| f64::from(*estimate) > least).collect();
    // SAFETY: as above.
    found.extend(unsafe { scored(source, scorer, query, near, false, usize::MAX, cancel)? });
    Some(found)
}

/// What hits are in order by, the best first.
pub fn best_first(hit: &Hit) -> Reverse<u64> {
    Reverse(hit.entry)
}

/// Leaves the best `most` hits, in any order.
pub fn keep_best(hits: &mut Vec<Hit>, most: usize) {
    if nth_best(hits, most).is_some() {
        hits.truncate(most);
    }
}

/// The hit that has `n` better ones, which are before it from now on; `None` when there are no more than `n`.
pub fn nth_best(hits: &mut [Hit], n: usize) -> Option<Hit> {
    (n < hits.len()).then(|| *hits.select_nth_unstable_by_key(n, best_first).1)
}

fn prefetch(segments: &[Segment], row: u32) {
    if let Some((segment, slot)) = locate(segments, row) {
        segment.prefetch_row(slot);
    }
}

fn locate(segments: &[Segment], row: u32) -> Option<(&Segment, usize)> {
    let row = row as usize;
    segments.get(row / SLOTS).map(|segment| (segment, row % SLOTS))
}
