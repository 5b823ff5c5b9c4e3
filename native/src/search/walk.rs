//! The first stage over a graph: a walk for what is linked, a scan for what is not yet.

use super::scan::{self, Area, Cancel};
use super::scorer::Scorer;
use super::segment::Segment;
use crate::graph::Graph;
use crate::plan::{BLOCK, BLOCKS, SLOTS};
use crate::select::Reservoir;

/// Candidates of each query: the nearest `rerank` of a walk that keeps `ef_search`, and the best of the live rows
/// that are not linked; exact ones where that is less than `keep` and there are more. `None` when cancelled, which is
/// looked at between hops.
///
/// # Safety
/// `bounds::check` accepted the plan and the segments; the vectors are whole ones of the plan's
/// dimensions, and the scorer's.
pub unsafe fn candidates(
    area: Area,
    graph: &Graph,
    scorer: &Scorer,
    vectors: &[f32],
    cancel: &Cancel,
) -> Option<Vec<Vec<(f32, u32)>>> {
    let plan = area.plan;
    let keep = plan.keep as usize;
    let queries = vectors.len() / plan.dimensions as usize;
    let mut sinks: Vec<Reservoir> = Vec::with_capacity(queries);
    // Before the walk: a row that is linked in between is found twice instead of never.
    // SAFETY: the caller's promise.
    unsafe {
        for_each_pending(area, graph, cancel, |segment, first_row, slots| {
            sinks.resize_with(queries, || Reservoir::new(keep));
            scorer.scan(segment, slots, first_row, &mut sinks);
        })?;
    }
    let live = eligible_rows(area);
    let reranked = plan.rerank.max(plan.keep).max(plan.fetch.unwrap_or(0)) as usize;
    let ef = plan.ef_search.unwrap_or(0).max(plan.keep).max(plan.fetch.unwrap_or(0)) as usize;
    let accepts = |row| graph.is_live(row) && area.mask.is_none_or(|mask| mask.has(row));
    let mut sinks = sinks.into_iter();
    let mut found = Vec::with_capacity(queries);
    for vector in vectors.chunks_exact(plan.dimensions as usize) {
        // SAFETY: the vector is whole, and the cancel word is inside `control`.
        let walked = unsafe { graph.nearest(vector, ef, accepts, || cancel.check().is_none()) }?;
        let mut all: Vec<_> = walked.into_iter().take(reranked).collect();
        if let Some(pending) = sinks.next() {
            all.extend(pending.into_best());
            all.sort_unstable_by_key(|(_, row)| *row);
            all.dedup_by_key(|(_, row)| *row);
        }
        if all.len() < keep.min(live) {
            // Links do not lead to everything: the answer is whole all the same.
            let mut all: Vec<Reservoir> = (0..queries).map(|_| Reservoir::new(keep)).collect();
            // SAFETY: the caller's promise.
            unsafe { scan::exact(area, scorer, &mut all, cancel)? };
            return Some(all.into_iter().map(Reservoir::into_best).collect());
        }
        found.push(all);
    }
    Some(found)
}

/// Whether so many rows may be returned that a walk meets enough of them: of those that it passes through, at least
/// half. Below that a scan of codes takes less time.
pub fn is_open(area: Area) -> bool {
    area.mask.is_none_or(|mask| 2 * mask.rows() >= live_rows(area))
}

/// Rows that may be returned at this moment.
fn eligible_rows(area: Area) -> usize {
    area.mask.map_or_else(|| live_rows(area), |mask| mask.rows())
}

fn live_rows(area: Area) -> usize {
    let count = |(index, segment): (usize, &Segment)| {
        let blocks = segment.blocks(index, 0, blocks_of(area, index));
        // SAFETY: `block < count`, and `bounds::check` found the column inside its view.
        (0..blocks.count).map(|block| unsafe { blocks.live(block) }.count_ones() as usize).sum::<usize>()
    };
    area.segments.iter().enumerate().map(count).sum()
}

/// Blocks of segment number `index` that the plan covers.
fn blocks_of(area: Area, index: usize) -> usize {
    (area.plan.to_block as usize).saturating_sub(index * BLOCKS).min(BLOCKS)
}

/// Calls `scan` with the slots of rows that may be returned and are not linked, segment by segment.
///
/// # Safety
/// As [`candidates`].
unsafe fn for_each_pending(
    area: Area,
    graph: &Graph,
    cancel: &Cancel,
    mut scan: impl FnMut(&Segment, u32, &[usize]),
) -> Option<()> {
    let mut slots = Vec::new();
    for (index, segment) in area.segments.iter().enumerate() {
        // SAFETY: the cancel word is inside `control`.
        unsafe { cancel.check() }?;
        let blocks = segment.blocks(index, 0, blocks_of(area, index));
        slots.clear();
        for block in 0..blocks.count {
            // SAFETY: `block < count`.
            let live =
                unsafe { blocks.live(block) } & area.mask.map_or(u64::MAX, |mask| mask.word(index * BLOCKS + block));
            let mut pending = graph.pending(index, block, live);
            while pending != 0 {
                slots.push(block * BLOCK + pending.trailing_zeros() as usize);
                pending &= pending - 1;
            }
        }
        if !slots.is_empty() {
            scan(segment, (index * SLOTS) as u32, &slots);
        }
    }
    Some(())
}
