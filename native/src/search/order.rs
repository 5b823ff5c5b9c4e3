//! Lists in the order of their ranks for one query, sorted as far as they are asked for.

use crate::select::{pack, unpack};
use std::cmp::Reverse;

/// Lists, best rank first, equal ones by number.
#[derive(Default)]
pub struct Order {
    entries: Vec<u64>,
    /// Entries at their places.
    sorted: usize,
    near: usize,
    floor: f32,
}

impl Order {
    /// The lists of these ranks. A search that no filter makes go on visits those of them whose rank is at least `least`,
    /// `most` at most.
    pub fn new(ranks: &[f32], least: f32, most: usize) -> Self {
        Self::of((0u32..).zip(ranks).map(|(list, rank)| pack(*rank, list)).collect(), least, most)
    }

    /// The same of lists with their ranks, packed.
    pub fn of(entries: Vec<u64>, least: f32, most: usize) -> Self {
        let reaches = |entry: &&u64| {
            let (rank, _) = unpack(**entry);
            rank >= least || rank.is_nan()
        };
        let reached = entries.iter().filter(reaches).count();
        let near = reached.min(most);
        let mut order = Order { entries, sorted: 0, near, floor: least };
        if near < reached || least == f32::NEG_INFINITY {
            order.floor = unpack(order.at(near.saturating_sub(1))).0;
        }
        order
    }

    /// Lists that a search without a filter visits.
    pub fn near(&self) -> usize {
        self.near
    }

    /// The rank down to which it does.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// Rank and list at a place, as `select::unpack` takes them apart.
    pub fn at(&mut self, at: usize) -> u64 {
        if at >= self.sorted {
            let rest = self.entries.get_mut(self.sorted..).unwrap_or_default();
            // What an usual search visits first, then twice as many each time.
            let more = self.near.max(2 * self.sorted).max(at + 1) - self.sorted;
            if more < rest.len() {
                rest.select_nth_unstable_by_key(more, |entry| Reverse(*entry));
            }
            let more = more.min(rest.len());
            if let Some(part) = rest.get_mut(..more) {
                part.sort_unstable_by_key(|entry| Reverse(*entry));
            }
            self.sorted += more;
        }
        self.entries.get(at).copied().unwrap_or_default()
    }
}
