//! Scanning inverted lists: which of them a query visits, and the blocks of those.

use super::ListColumns;
use super::order::Order;
use super::scan::Cancel;
use super::segment::code_columns;
use super::shortlist::Shortlist;
use crate::kernels::blocks::{Blocks, CodeColumns, Rows, Scan};
use crate::kernels::fastscan::FlatQuery;
use crate::kernels::matmul;
use crate::kernels::prefetch::prefetch;
use crate::norm::norm2;
use crate::plan::*;
use crate::select::{Reservoir, unpack};
use crate::view::View;
use std::array;

use std::sync::atomic::{AtomicU32, Ordering};

/// Lists of a query that are visited before those of lower rank, so that its threshold rises early.
pub const BEST_FIRST: usize = 8;
/// Visits ahead whose blocks are asked for.
const AHEAD: usize = 2;
/// Visits between two looks at the cancel word.
pub const CANCEL_VISITS: usize = 32;
/// Queries whose products with all centroids are held at once.
const ROUTED: usize = 64;

/// The lists of a search.
pub struct Lists {
    count: usize,
    components: usize,
    centroids: *const f32,
    biases: *const f32,
    heads: *mut u32,
    chunks: Vec<Chunk>,
    /// What a first level of ranking goes by, where there are lists enough for two.
    shortlist: Option<Shortlist>,
}

/// Queries by what lists are scanned and ranked for.
pub struct Listed<'a, Q> {
    /// For the kernel.
    pub queries: &'a [Q],
    /// What scans blocks.
    pub kernel: Scan<Q, 1>,
    /// In the coordinates of the codes, the components of a centroid each.
    pub coded: &'a [f32],
    /// For the shortlist, which is of signs.
    pub flat: &'a [FlatQuery],
}

/// 1,024 blocks that lists are made of.
#[derive(Clone, Copy)]
struct Chunk {
    codes: CodeColumns,
    links: *mut u8,
}

/// What a query has met in the lists that it visited.
struct Rest<'a> {
    visited: &'a [bool],
    /// Live rows.
    met: usize,
}

/// One list that one query visits.
type Visit = (u32, u32);

impl Lists {
    /// The lists of columns that `bounds::check` accepted.
    pub fn new(plan: &SearchPlan, columns: &ListColumns) -> Self {
        let chunk =
            |(codes, links): (&View<u8>, &View<u8>)| Chunk { codes: code_columns(plan, *codes), links: links.ptr() };
        Lists {
            count: columns.biases.len(),
            components: plan.layout().components(),
            centroids: columns.centroids.ptr(),
            biases: columns.biases.ptr(),
            heads: columns.heads.ptr(),
            chunks: columns.codes.iter().zip(columns.links.iter()).map(chunk).collect(),
            shortlist: Shortlist::new(plan, columns),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Scores what lies in the best `nprobe` lists of each query, and in others while those hold fewer rows than are wanted.
    /// `None` when cancelled.
    ///
    /// The best lists of every query are visited before all others, which lie below thresholds that have risen by then.
    /// Queries of a batch go list by list together: the blocks of a list stay in the first-level cache for all that visit it.
    ///
    /// # Safety
    /// `bounds::check` accepted the plan and the lists; the kernel was picked for this CPU, and there is what it takes, a
    /// vector of components and a sink for every query.
    pub unsafe fn scan<Q>(
        &self,
        plan: &SearchPlan,
        listed: &Listed<Q>,
        sinks: &mut [Reservoir],
        cancel: &Cancel,
    ) -> Option<()> {
        let Listed { queries, kernel, coded, .. } = listed;
        // SAFETY: the caller's promise.
        let (mut visits, best) = unsafe { self.route(plan, listed) };
        let (first, rest) = visits.split_at_mut(best);
        if queries.len() > 1 {
            first.sort_unstable();
        }
        rest.sort_unstable();
        for (i, (list, query)) in visits.iter().enumerate() {
            if i % CANCEL_VISITS == 0 {
                // SAFETY: the cancel word is inside `control`.
                unsafe { cancel.check() }?;
            }
            if let Some((ahead, _)) = visits.get(i + AHEAD) {
                // SAFETY: a list of ours.
                unsafe { self.prefetch(*ahead) };
            }
            let at = *query as usize;
            let (Some(query), Some(sink)) = (queries.get(at), sinks.get_mut(at)) else { continue };
            let scan = |blocks: &Blocks| {
                // SAFETY: the blocks are readable, and the kernel was picked for this CPU.
                unsafe { kernel(blocks, array::from_ref(query), array::from_mut(sink)) };
            };
            // SAFETY: a list of ours.
            unsafe { self.walk(*list, scan) };
        }
        let wanted = plan.wanted();
        let queries = queries.iter().zip(coded.chunks_exact(self.components));
        for ((at, (query, coded)), sink) in (0u32..).zip(queries).zip(sinks) {
            if sink.len() < wanted {
                let mut visited = vec![false; self.count];
                // Above a seed fewer may be kept than were met.
                let mut met = 0;
                for (list, _) in visits.iter().filter(|(_, query)| *query == at) {
                    visited.get_mut(*list as usize).into_iter().for_each(|visited| *visited = true);
                    // SAFETY: a list of ours.
                    met += unsafe { self.live(*list) };
                }
                if met < wanted {
                    let rest = Rest { visited: &visited, met };
                    let scan = |blocks: &Blocks, sink: &mut Reservoir| {
                        // SAFETY: as above.
                        unsafe { kernel(blocks, array::from_ref(query), array::from_mut(sink)) };
                    };
                    // SAFETY: as above.
                    unsafe { self.go_on(plan, scan, coded, rest, sink, cancel)? };
                }
            }
        }
        Some(())
    }

    /// Live rows of a list.
    ///
    /// # Safety
    /// `list < count`.
    unsafe fn live(&self, list: u32) -> usize {
        let mut live = 0;
        // SAFETY: the caller's promise; the blocks are those of the list.
        unsafe { self.walk(list, |blocks| live += blocks.live_rows()) };
        live
    }

    /// Visits the other lists, best first, until as many rows were met as are wanted.
    ///
    /// # Safety
    /// As for [`Lists::scan`].
    unsafe fn go_on(
        &self,
        plan: &SearchPlan,
        scan: impl Fn(&Blocks, &mut Reservoir),
        coded: &[f32],
        rest: Rest,
        sink: &mut Reservoir,
        cancel: &Cancel,
    ) -> Option<()> {
        // SAFETY: the caller's promise.
        let mut order = unsafe { self.order(plan, coded) };
        let Rest { visited, mut met } = rest;
        for at in 0..self.count {
            if met >= plan.wanted() {
                break;
            }
            let (_, list) = unpack(order.at(at));
            if visited.get(list as usize).is_some_and(|visited| *visited) {
                continue;
            }
            // SAFETY: the cancel word is inside `control`, and the list is one of ours.
            unsafe {
                cancel.check()?;
                self.walk(list, |blocks| scan(blocks, sink));
                met += self.live(list);
            }
        }
        Some(())
    }

    /// What the queries visit: the best lists of each query, so many visits in all, and then the others.
    ///
    /// # Safety
    /// The centroids are `components x count`, the biases one a list.
    unsafe fn route<Q>(&self, plan: &SearchPlan, listed: &Listed<Q>) -> (Vec<Visit>, usize) {
        let Listed { queries, coded, flat, .. } = listed;
        let keep = (plan.nprobe as usize).min(self.count);
        let mut first = Vec::with_capacity(queries.len() * keep);
        let mut others = Vec::with_capacity(queries.len() * keep.saturating_sub(BEST_FIRST));
        let mut query = 0u32;
        let mut take = |mut order: Order| {
            let near = order.near();
            let best = near.min(BEST_FIRST);
            first.extend((0..best).map(|at| (unpack(order.at(at)).1, query)));
            others.extend((best..near).map(|at| (unpack(order.at(at)).1, query)));
            query += 1;
        };
        // SAFETY: the caller's promise.
        unsafe {
            match &self.shortlist {
                Some(shortlist) => {
                    for (query, coded) in flat.iter().zip(coded.chunks_exact(self.components)) {
                        take(shortlist.order(plan, query, coded));
                    }
                }
                None => self.rank(plan, coded, |ranks, least| take(Order::new(ranks, least, keep))),
            }
        }
        let best = first.len();
        first.append(&mut others);
        (first, best)
    }

    /// All lists by their rank for one query.
    ///
    /// # Safety
    /// As for `route`.
    pub unsafe fn order(&self, plan: &SearchPlan, coded: &[f32]) -> Order {
        let mut order = Order::default();
        // SAFETY: the caller's promise.
        unsafe { self.rank(plan, coded, |ranks, least| order = Order::new(ranks, least, plan.nprobe as usize)) };
        order
    }

    /// Calls `take` with the ranks of all lists, product plus bias, and with the least that a query may visit, query after
    /// query: lists far below the best are left out (Chen et al., "SPANN", 2021, section 3.2.3).
    ///
    /// # Safety
    /// As for `route`.
    unsafe fn rank(&self, plan: &SearchPlan, coded: &[f32], mut take: impl FnMut(&[f32], f32)) {
        let d = self.components;
        let mut products = vec![0f32; ROUTED.min(coded.len() / d) * self.count];
        for group in coded.chunks(ROUTED * d) {
            let queries = group.len() / d;
            // SAFETY: `queries x d`, `d x count` and room for `queries x count` elements.
            unsafe {
                let products = products.as_mut_ptr();
                matmul::matmul()(group.as_ptr(), self.centroids, products, queries, d, self.count);
            }
            for (products, query_at) in products.chunks_exact_mut(self.count).zip(group.chunks_exact(d)) {
                // SAFETY: one bias a list.
                let biases = (0..self.count).map(|list| unsafe { self.biases.add(list).read() });
                products.iter_mut().zip(biases).for_each(|(rank, bias)| *rank += bias);
                let best = products.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                take(products, least(plan, best, query_at));
            }
        }
    }

    /// Calls `scan` with the blocks of a list, as many at once as lie side by side.
    ///
    /// # Safety
    /// `list < count`.
    pub unsafe fn walk(&self, list: u32, mut scan: impl FnMut(&Blocks)) {
        // A chain that was damaged into a ring ends all the same.
        let mut left = self.chunks.len() * BLOCKS;
        // SAFETY: there is a head for every list; every thread accesses it atomically.
        let mut next = unsafe { AtomicU32::from_ptr(self.heads.add(list as usize)) }.load(Ordering::Acquire) as usize;
        while next > 0 && left > 0 {
            let (chunk, first) = ((next - 1) / BLOCKS, (next - 1) % BLOCKS);
            let Some(chunk) = self.chunks.get(chunk) else { return };
            let base = next - first;
            let mut count = 0;
            while next == base + first + count && first + count < BLOCKS && left > 0 {
                count += 1;
                left -= 1;
                // SAFETY: `first + count - 1 < BLOCKS`.
                next = unsafe { chunk.next(first + count - 1) };
            }
            scan(&chunk.blocks(first, count));
        }
    }

    /// Asks for the first block of a list.
    ///
    /// # Safety
    /// `list < count`.
    #[inline(always)]
    unsafe fn prefetch(&self, list: u32) {
        // SAFETY: there is a head for every list.
        let head = unsafe { AtomicU32::from_ptr(self.heads.add(list as usize)) }.load(Ordering::Relaxed) as usize;
        let Some(block) = head.checked_sub(1) else { return };
        if let Some(chunk) = self.chunks.get(block / BLOCKS) {
            let block = block % BLOCKS;
            let Blocks { live, .. } = chunk.blocks(block, 1);
            prefetch(live.cast());
            prefetch(chunk.links.wrapping_add(NEXT_OFFSET + block * 4));
            chunk.codes.prefetch_block(block);
        }
    }
}

/// The least rank of a list that a query may visit whose best list has the rank `best`.
pub fn least(plan: &SearchPlan, best: f32, projected: &[f32]) -> f32 {
    // SAFETY: the slice's own elements.
    let norm2 = || unsafe { norm2(projected.as_ptr(), projected.len()) };
    // Ranks of dot grow with the query.
    let length = || if plan.metric == DOT { norm2().sqrt() as f32 } else { 1.0 };
    plan.margin.map_or(f32::NEG_INFINITY, |margin| best - margin as f32 * length())
}

impl Chunk {
    fn blocks(&self, first: usize, count: usize) -> Blocks {
        let live = self.links.wrapping_add(first * 8).cast();
        let rows = self.links.wrapping_add(LISTED_OFFSET + first * BLOCK * 4).cast();
        self.codes.blocks(first, count, live, Rows::Listed(rows))
    }

    /// The block that follows a block in its list, plus one.
    ///
    /// # Safety
    /// `block < BLOCKS`.
    #[inline(always)]
    unsafe fn next(&self, block: usize) -> usize {
        // SAFETY: the links hold a next block for each, 4-byte aligned; every thread accesses it atomically.
        let next = unsafe { AtomicU32::from_ptr(self.links.add(NEXT_OFFSET + block * 4).cast()) };
        next.load(Ordering::Acquire) as usize
    }
}
