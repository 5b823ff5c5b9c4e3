//! Ranking many lists in two levels: the codes of their centroids are scanned as those of rows are, and of the best by
//! these estimates int8 copies are ranked, so that a query reads a few tens of bytes of most centroids.

use super::ListColumns;
use super::lists::least;
use super::order::Order;
use crate::kernels::blocks::{Blocks, Norms, Rows};
use crate::kernels::fastscan::{self, FlatQuery};
use crate::kernels::int8_rows::{self, ROWS};
use crate::kernels::quantise::Steps;
use crate::plan::*;
use crate::select::{Reservoir, pack};
use std::array;

/// Centroids that are ranked by their copies for each list that a query may visit, and at least: `kernels/shortlist.ts`.
const A_VISIT: usize = 2;
const LEAST: usize = BLOCK;

/// Bytes of the shortlist of so many lists: a code, a factor, what is taken off its estimate, a copy and its step for
/// each slot of a block.
pub fn bytes(lists: usize) -> usize {
    lists.div_ceil(BLOCK) * BLOCK * (CODE_BYTES + 2 + 2 + CODE_BITS + 4)
}

/// Codes and copies of the centroids, as `kernels/shortlist.ts` makes them.
pub struct Shortlist {
    lists: usize,
    start: *const u8,
    biases: *const f32,
    norm_scale: f32,
    candidates: usize,
}

impl Shortlist {
    /// The shortlist of columns that `bounds::check` accepted; `None` where it would hold most of the lists.
    pub fn new(plan: &SearchPlan, columns: &ListColumns) -> Option<Self> {
        let start = columns.shortlist.filter(|_| plan.subspaces == 0)?.ptr().cast_const();
        let lists = columns.biases.len();
        let candidates = LEAST.max((plan.nprobe as usize).saturating_mul(A_VISIT));
        let norm_scale = (plan.factor_scale * plan.factor_scale) as f32;
        let shortlist = Shortlist { lists, start, biases: columns.biases.ptr(), norm_scale, candidates };
        (candidates <= lists / 2).then_some(shortlist)
    }

    /// The best lists by their ranks for one query.
    ///
    /// # Safety
    /// The columns are as `bounds::check` found them; `projected` is the projection of the query.
    pub unsafe fn order(&self, plan: &SearchPlan, query: &FlatQuery, projected: &[f32]) -> Order {
        // SAFETY: the caller's promise.
        let ranked = unsafe { self.ranked(&self.nearest(query), projected) };
        let best = ranked.iter().fold(f32::NEG_INFINITY, |best, (rank, _)| best.max(*rank));
        let entries = ranked.into_iter().map(|(rank, list)| pack(rank, list)).collect();
        Order::of(entries, least(plan, best, projected), plan.nprobe as usize)
    }

    /// The lists of the best estimates, in no order.
    ///
    /// # Safety
    /// As for `order`.
    unsafe fn nearest(&self, query: &FlatQuery) -> Vec<u32> {
        let count = self.lists.div_ceil(BLOCK);
        let mut live = vec![u64::MAX; count];
        if let Some(last) = live.last_mut() {
            *last >>= count * BLOCK - self.lists;
        }
        let after = |bytes: usize| self.start.wrapping_add(count * BLOCK * bytes);
        let blocks = Blocks {
            codes: self.start,
            factors: after(CODE_BYTES).cast(),
            norms: Some(Norms { start: after(CODE_BYTES + 2).cast(), scale: self.norm_scale }),
            live: live.as_mut_ptr(),
            count,
            rows: Rows::From(0),
        };
        let mut best = Reservoir::new(self.candidates);
        // SAFETY: the columns have so many blocks, and the kernel was picked for this CPU.
        unsafe { fastscan::pick::<1>()(&blocks, array::from_ref(query), array::from_mut(&mut best)) };
        best.into_best().into_iter().map(|(_, list)| list).collect()
    }

    /// Ranks by the copies of the centroids of these lists.
    ///
    /// # Safety
    /// As for `order`; every list is below `lists`.
    unsafe fn ranked(&self, lists: &[u32], projected: &[f32]) -> Vec<(f32, u32)> {
        let slots = self.lists.div_ceil(BLOCK) * BLOCK;
        let copies = self.start.wrapping_add(slots * (CODE_BYTES + 4)).cast::<i8>();
        let steps = copies.wrapping_add(slots * CODE_BITS).cast::<f32>();
        let mut levels = [0i8; CODE_BITS];
        // SAFETY: the projection has as many components as there are levels.
        let step = f64::from(unsafe { Steps::pick().write(projected.as_ptr(), levels.as_mut_ptr(), CODE_BITS) });
        let products = int8_rows::dot_rows();
        let mut ranked = Vec::with_capacity(lists.len());
        for few in lists.chunks(ROWS) {
            // Those that are missing are those of the first, and left out again.
            let list = |i: usize| few.get(i).or(few.first()).copied().unwrap_or_default() as usize;
            let rows = array::from_fn(|i| copies.wrapping_add(list(i) * CODE_BITS));
            // SAFETY: there is a copy, a step and a bias for every list.
            unsafe {
                let products = products(&rows, levels.as_ptr(), CODE_BITS);
                ranked.extend(few.iter().zip(products).map(|(list, product)| {
                    let at = *list as usize;
                    let product = f64::from(product) * f64::from(steps.add(at).read()) * step;
                    (product as f32 + self.biases.add(at).read(), *list)
                }));
            }
        }
        ranked
    }
}
