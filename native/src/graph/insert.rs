//! Linking rows into the graph, from any number of threads.

use super::links::Links;
use super::target::Target;
use super::walk::{Goal, Walker, with_walker};
use super::{Entry, Graph, MOST_LINKS};

impl Graph {
    /// Links rows in the order given, but those that are not live or linked already. Returns how
    /// many were dealt with: fewer than there are when `stop` said so between two rows.
    ///
    /// # Safety
    /// The caller holds a claim, so that no row that is live now is reused meanwhile, and no other
    /// thread was given the same rows.
    pub unsafe fn insert(&self, rows: impl Iterator<Item = u32>, ef: usize, stop: impl Fn() -> bool) -> usize {
        let mut done = 0;
        with_walker(|walker| {
            for row in rows {
                if stop() {
                    break;
                }
                if self.is_live(row) && !self.is_linked(row) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        self.copy_row(row);
                        self.link(walker, row, ef);
                    }
                    self.mark_linked(row);
                }
                done += 1;
            }
        });
        done
    }

    /// Finds neighbours for a row whose copy is there, and writes the links in both directions.
    ///
    /// # Safety
    /// As [`Graph::insert`].
    pub unsafe fn link(&self, walker: &mut Walker, row: u32, ef: usize) {
        let Some(target) = self.target(row) else { return };
        let own = Entry { row, level: self.level(row) };
        let Some(entry) = self.entry().or_else(|| if self.found(own) { None } else { self.entry() }) else { return };
        // Links are written when all are known: nobody is led to a row whose own lists are empty.
        let top = own.level.min(entry.level);
        let mut found = Vec::with_capacity(top + 1);
        // SAFETY: the target is a row of the graph.
        unsafe {
            let mut start = self.descend(walker, &target, entry, top, row);
            for level in (0..=top).rev() {
                let mut candidates = self.neighbours(walker, &target, Goal { start, level, keep: ef }, row);
                if let Some((_, nearest)) = candidates.first() {
                    start = *nearest;
                }
                found.push((level, self.select(row, &mut candidates, self.m)));
            }
        }
        if let Some(_held) = self.hold(row) {
            for (level, neighbours) in &found {
                if let Some(list) = self.list(row, *level) {
                    list.write(neighbours);
                }
            }
        }
        for (level, neighbours) in found {
            for neighbour in neighbours {
                self.link_back(neighbour, row, level);
            }
        }
        if own.level > entry.level {
            self.raise(own);
        }
    }

    /// The nearest rows to link to at a level: live ones, or any where a walk meets no live one.
    ///
    /// # Safety
    /// The target is a row of the graph.
    unsafe fn neighbours(&self, walker: &mut Walker, target: &Target, goal: Goal, own: u32) -> Vec<(f32, u32)> {
        for only_live in [true, false] {
            let accepts = |row| row != own && (!only_live || self.is_live(row));
            // SAFETY: the caller's promise. Nothing stops it.
            let _ = unsafe { self.gather(walker, target, goal, accepts, || false) };
            let found: Vec<_> = walker.pool.accepted().collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    /// Adds a link from `from` to `to`. A full list is selected anew from its rows and the new one.
    pub fn link_back(&self, from: u32, to: u32, level: usize) {
        let (Some(list), Some(_held)) = (self.list(from, level), self.hold(from)) else { return };
        let mut links: Links = [0; MOST_LINKS];
        let rows = list.read(&mut links);
        if rows.contains(&to) || list.push(to) {
            return;
        }
        let mut all = Vec::with_capacity(rows.len() + 1);
        all.extend_from_slice(rows);
        all.push(to);
        let mut candidates = self.scored(from, &all);
        list.write(&self.select(from, &mut candidates, list.room));
    }

    /// Rows with their scores against row `of`.
    pub fn scored(&self, of: u32, rows: &[u32]) -> Vec<(f32, u32)> {
        let Some(target) = self.target(of) else { return Vec::new() };
        rows.iter().for_each(|row| self.prefetch_row(*row));
        let mut scores = Vec::with_capacity(rows.len());
        // SAFETY: the target is a row of the graph.
        unsafe { self.scores(&target, rows, &mut scores) };
        scores.into_iter().zip(rows.iter().copied()).collect()
    }
}
