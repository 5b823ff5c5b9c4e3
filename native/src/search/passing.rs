//! Scanning inverted lists for rows that pass a filter.
//!
//! How many lists are worth a visit is known for searches without one: down to some rank, given by the plan's margin or
//! number of lists. Of the rows that pass, the nearest are farther away than those of all, and a list may hold them
//! whose rank is lower by as much. So lists are visited in order of rank until one is farther below that of the search
//! without a filter than the `k`-th best passing row is below the `k`-th best of all rows. What passes may lie
//! near the query, everywhere or far from it: the distance is that of what was found, not of what is expected.

use super::lists::{BEST_FIRST, CANCEL_VISITS, Listed, Lists};
use super::scan::Cancel;
use crate::filter::Mask;
use crate::kernels::blocks::{Blocks, Scan};
use crate::plan::*;
use crate::select::{Reservoir, unpack};
use std::array;

/// Time to scan a block of a list and to find which of its slots pass, in nanoseconds.
const LISTED_NS: usize = 100;
/// Most lists that a plan with a margin lets a query visit, relative to what is usual: `kernels/shape.ts`.
const NPROBE_FACTOR: f64 = 4.0;
/// Lists between two looks at how far to go, at least, and of so many visited one more.
const LOOK: usize = 4;
/// Slots of a block that are looked up in the mask after they were scored: of more, all are looked up before.
const FEW: usize = 10;

/// One query on its way through the lists.
struct Visitor<'a, Q> {
    mask: &'a Mask,
    query: &'a Q,
    /// What passed of all that was found.
    passing: &'a mut Reservoir,
    /// Found in one list, whether it passes or not.
    found: Reservoir,
    /// Live rows of the lists that are looked at first.
    met: usize,
    /// Live words of which only what passes is left.
    words: Vec<u64>,
    /// Whether so many were found in the last list that it takes less time to scan what passes alone.
    sifts: bool,
    kernel: Scan<Q, 1>,
}

impl Lists {
    /// About how long [`Lists::scan_passing`] takes for a query, in nanoseconds. Queries visit up to twice the lists that stored
    /// vectors do; where a share of the rows passes, the nearest of them are spread over more by the root of it.
    pub fn expected_ns(&self, plan: &SearchPlan, mask: &Mask) -> usize {
        let blocks = (plan.to_block - plan.from_block) as usize;
        let usual = f64::from(plan.nprobe) / if plan.margin.is_some() { NPROBE_FACTOR / 2.0 } else { 1.0 };
        let growth = ((blocks * BLOCK) as f64 / mask.rows().max(1) as f64).sqrt();
        let visited = (usual / self.count() as f64 * growth).min(1.0) * blocks as f64;
        (visited * LISTED_NS as f64) as usize
    }

    /// Scores what passes in the lists of each query that may hold one of its nearest. Whether that was done: not where it
    /// would take longer than to scan all codes. `None` when cancelled.
    ///
    /// # Safety
    /// As for [`Lists::scan`].
    pub unsafe fn scan_passing<Q>(
        &self,
        plan: &SearchPlan,
        &Listed { queries, kernel, coded, .. }: &Listed<Q>,
        mask: &Mask,
        sinks: &mut [Reservoir],
        cancel: &Cancel,
    ) -> Option<bool> {
        let components = plan.layout().components();
        for ((query, coded), passing) in queries.iter().zip(coded.chunks_exact(components)).zip(sinks) {
            let found = Reservoir::of_all(passing.threshold());
            let mut visitor = Visitor { mask, query, passing, found, met: 0, words: Vec::new(), sifts: false, kernel };
            // SAFETY: the caller's promise.
            if !unsafe { self.visit(plan, coded, &mut visitor, cancel)? } {
                return Some(false);
            }
        }
        Some(true)
    }

    /// # Safety
    /// As for [`Lists::scan_passing`], of one query.
    unsafe fn visit<Q>(
        &self,
        plan: &SearchPlan,
        coded: &[f32],
        visitor: &mut Visitor<Q>,
        cancel: &Cancel,
    ) -> Option<bool> {
        let wanted = plan.wanted();
        // SAFETY: the caller's promise.
        let mut order = unsafe { self.order(plan, coded) };
        let near = order.near();
        let sampled = near.min(BEST_FIRST.max(near / 4));
        let unit = rank_unit(plan);
        let seed = plan.seed();
        let mut all = Reservoir::new(wanted);
        let (mut bound, mut look, mut left) = (f32::NEG_INFINITY, sampled, visitor.mask.blocks_ns() / LISTED_NS);
        for at in 0..self.count() {
            if at % CANCEL_VISITS == 0 {
                // SAFETY: the cancel word is inside `control`.
                unsafe { cancel.check() }?;
            }
            let (rank, list) = unpack(order.at(at));
            if at == look {
                let enough = if visitor.met >= wanted { wanted } else { wanted.min(all.len().max(1)) };
                // What does not exceed the seed is not looked for: neither need be nearer than that.
                let (near, passing) = (all.best_at(enough).max(seed), visitor.passing.best_at(wanted).max(seed));
                let known = near > f32::NEG_INFINITY && passing > f32::NEG_INFINITY;
                let below = if known { (near - passing).max(0.0) } else { f32::INFINITY };
                bound = order.floor() - unit * below;
                look += LOOK.max(at / 4);
            }
            if rank < bound {
                break;
            }
            // SAFETY: a list of ours.
            let blocks = unsafe { self.visit_one(list, visitor, (at < sampled).then_some(&mut all)) };
            let Some(rest) = left.checked_sub(blocks) else { return Some(false) };
            left = rest;
        }
        Some(true)
    }

    /// Scans one list, `all` being offered what does not pass too; says how many blocks it has.
    ///
    /// # Safety
    /// `list < count`.
    unsafe fn visit_one<Q>(&self, list: u32, visitor: &mut Visitor<Q>, all: Option<&mut Reservoir>) -> usize {
        let mut count = 0;
        let is_sampled = all.is_some();
        let sifts = visitor.sifts && !is_sampled;
        let Visitor { mask, query, passing, found, met, words, kernel, .. } = visitor;
        let scan = |blocks: &Blocks| {
            count += blocks.count;
            if is_sampled {
                // SAFETY: blocks of the list.
                *met += unsafe { blocks.live_rows() };
            }
            let mut blocks = *blocks;
            if sifts {
                words.clear();
                // SAFETY: a run has so many blocks.
                words.extend((0..blocks.count).map(|b| unsafe { sifted(&blocks, b, mask) }));
                blocks.live = words.as_mut_ptr();
            }
            let sink = if sifts { &mut **passing } else { &mut *found };
            // SAFETY: the blocks are readable, and the kernel was picked for this CPU.
            unsafe { kernel(&blocks, array::from_ref(*query), array::from_mut(sink)) };
        };
        // SAFETY: the caller's promise.
        unsafe { self.walk(list, scan) };
        if sifts {
            let threshold = visitor.passing.threshold();
            visitor.found.raise(threshold);
            visitor.sifts = threshold == f32::NEG_INFINITY;
        } else {
            visitor.take(all, count);
        }
        count
    }
}

impl<Q> Visitor<'_, Q> {
    /// Keeps what passes of what was found in a list of so many blocks.
    fn take(&mut self, all: Option<&mut Reservoir>, blocks: usize) {
        let is_sampled = all.is_some();
        let mut ignored = Reservoir::new(1);
        let all = all.unwrap_or(&mut ignored);
        let mut offered = 0;
        for (score, row) in self.found.drain() {
            offered += 1;
            if is_sampled {
                all.offer(score, row);
            }
            if self.mask.has(row) {
                self.passing.offer(score, row);
            }
        }
        self.found.raise(self.passing.threshold());
        self.sifts = offered > FEW * blocks;
    }
}

/// How far apart ranks are whose lists hold scores that are 1 apart: those of l2 are twice as far apart as the ranks, and
/// ranks of product codes are in units of the codebook.
fn rank_unit(plan: &SearchPlan) -> f32 {
    let codebook = match (plan.subspaces, plan.metric) {
        (0, _) => 1.0,
        (_, DOT) => plan.factor_scale,
        _ => plan.factor_scale * plan.factor_scale,
    };
    (if plan.metric == L2 { 0.5 } else { 1.0 } / codebook) as f32
}

/// Slots of block `b` whose rows passed, of those that are live.
///
/// # Safety
/// `b < count`, and the blocks are readable.
unsafe fn sifted(blocks: &Blocks, b: usize, mask: &Mask) -> u64 {
    // SAFETY: the caller's promise.
    let live = unsafe { blocks.live(b) };
    if live == 0 {
        return 0;
    }
    let rows = blocks.rows(b);
    let mut word = 0;
    for slot in 0..BLOCK as u32 {
        // SAFETY: a slot of the block.
        word |= u64::from(mask.has(unsafe { rows.of(slot) })) << slot;
    }
    word & live
}
