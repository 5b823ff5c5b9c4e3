//! Links around deleted rows: a node whose neighbours died takes over theirs.

use super::links::Links;
use super::walk::with_walker;
use super::{Graph, MOST_LINKS};
use std::collections::HashSet;

impl Graph {
    /// Replaces the links of live rows in `[from, to)` to rows that are not live, in every level.
    /// Returns the row to go on from: `to`, unless `stop` said so between two rows.
    ///
    /// # Safety
    /// As `Graph::insert`; no other thread repairs the same rows.
    pub unsafe fn repair(&self, from: u32, to: u32, ef: usize, stop: impl Fn() -> bool) -> u32 {
        for row in from..to.min(self.capacity() as u32) {
            if stop() {
                return row;
            }
            // Walks start at the entry, live or not.
            let is_entry = self.entry().is_some_and(|entry| entry.row == row);
            if !self.is_linked(row) || !is_entry && !self.is_live(row) {
                continue;
            }
            let cut_off = (0..=self.level(row)).any(|level| self.mend(row, level));
            if cut_off && self.is_live(row) {
                // SAFETY: the caller's promise.
                with_walker(|walker| unsafe { self.link(walker, row, ef) });
            }
        }
        to
    }

    /// Replaces the dead neighbours of a row at a level by the live ones that they link to. Whether
    /// none was found.
    fn mend(&self, row: u32, level: usize) -> bool {
        let Some(list) = self.list(row, level) else { return false };
        let mut links: Links = [0; MOST_LINKS];
        let rows = list.read(&mut links);
        let (kept, dead): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| self.is_live(**row));
        if dead.is_empty() {
            return false;
        }
        let mut seen: HashSet<u32> = kept.iter().copied().chain([row]).collect();
        let mut all = kept.clone();
        for dead in dead {
            let Some(theirs) = self.list(dead, level) else { continue };
            let mut links: Links = [0; MOST_LINKS];
            all.extend(theirs.read(&mut links).iter().filter(|row| self.is_live(**row) && seen.insert(**row)));
        }
        if all.is_empty() {
            return true;
        }
        let mut candidates = self.scored(row, &all);
        let selected = self.select(row, &mut candidates, list.room);
        if let Some(_held) = self.hold(row) {
            list.write(&selected);
        }
        if self.is_live(row) {
            for neighbour in selected.into_iter().filter(|row| !kept.contains(row)) {
                self.link_back(neighbour, row, level);
            }
        }
        false
    }
}
