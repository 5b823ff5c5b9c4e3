//! Walks: greedy down the upper levels, then best first with a list of the nearest.

use super::links::Links;
use super::pool::Pool;
use super::target::Target;
use super::visited::Visited;
use super::{Entry, Graph, MOST_LINKS};
use std::cell::RefCell;

/// What a walk of one level is for.
#[derive(Clone, Copy)]
pub struct Goal {
    /// Row it starts at.
    pub start: u32,
    /// Level it stays in.
    pub level: usize,
    /// Nearest accepted rows wanted.
    pub keep: usize,
}

/// What a thread needs for walks, kept from one to the next so that none allocates.
#[derive(Default)]
pub struct Walker {
    visited: Visited,
    pub pool: Pool,
    fresh: Vec<u32>,
    scores: Vec<f32>,
}

thread_local! {
    static WALKER: RefCell<Walker> = RefCell::default();
}

/// Lends this thread's walker.
pub fn with_walker<T>(walk: impl FnOnce(&mut Walker) -> T) -> T {
    WALKER.with(|walker| match walker.try_borrow_mut() {
        Ok(mut walker) => walk(&mut walker),
        // A walk inside a walk: it gets one of its own.
        Err(_) => walk(&mut Walker::default()),
    })
}

impl Graph {
    /// The row that greedy steps reach from the entry, down to above `level`. Row `skip` is passed
    /// through but not stayed at.
    ///
    /// # Safety
    /// The target's vector is readable, here and below.
    pub unsafe fn descend(&self, walker: &mut Walker, target: &Target, from: Entry, level: usize, skip: u32) -> u32 {
        let mut best = from.row;
        // SAFETY: the caller's promise.
        unsafe { self.scores(target, &[best], &mut walker.scores) };
        let mut nearest = walker.scores.first().copied().filter(|_| best != skip).unwrap_or(f32::MIN);
        for level in (level + 1..=from.level).rev() {
            loop {
                let here = best;
                let mut links: Links = [0; MOST_LINKS];
                let Some(list) = self.list(here, level) else { break };
                let rows = list.read(&mut links);
                rows.iter().for_each(|row| self.prefetch_row(*row));
                // SAFETY: the caller's promise.
                unsafe { self.scores(target, rows, &mut walker.scores) };
                for (row, score) in rows.iter().zip(&walker.scores) {
                    if *score > nearest && *row != skip {
                        (best, nearest) = (*row, *score);
                    }
                }
                if best == here {
                    break;
                }
            }
        }
        best
    }

    /// Fills the walker's pool with the nearest accepted rows that a walk meets. `None` when `stop`
    /// said so between two hops.
    ///
    /// # Safety
    /// As [`Graph::descend`].
    pub unsafe fn gather(
        &self,
        walker: &mut Walker,
        target: &Target,
        Goal { start, level, keep }: Goal,
        accepts: impl Fn(u32) -> bool,
        stop: impl Fn() -> bool,
    ) -> Option<()> {
        let Walker { visited, pool, fresh, scores } = walker;
        visited.begin(self.capacity());
        pool.begin(keep);
        visited.insert(start);
        // SAFETY: the caller's promise.
        unsafe { self.scores(target, &[start], scores) };
        // A start that is outside the graph, or that no score exists for, is passed through.
        let score = scores.first().copied().filter(|score| *score > f32::MIN).unwrap_or(f32::MIN);
        pool.push(score, start, accepts(start));
        while let Some(row) = pool.pop_open() {
            if stop() {
                return None;
            }
            let mut links: Links = [0; MOST_LINKS];
            let Some(list) = self.list(row, level) else { continue };
            fresh.clear();
            for row in list.read(&mut links) {
                if visited.insert(*row) {
                    self.prefetch_row(*row);
                    fresh.push(*row);
                }
            }
            if level == 0
                && let Some(next) = pool.peek_open()
            {
                self.prefetch_links(next);
            }
            // SAFETY: the caller's promise.
            unsafe { self.scores(target, fresh, scores) };
            for (row, score) in fresh.iter().zip(scores.iter()) {
                if *score > pool.threshold() {
                    pool.push(*score, *row, accepts(*row));
                }
            }
        }
        Some(())
    }

    /// The nearest `keep` live rows to a query, by the scores of copies; `None` when stopped.
    ///
    /// # Safety
    /// `query` has the dimensions of the graph.
    pub unsafe fn nearest(
        &self,
        query: &[f32],
        keep: usize,
        accepts: impl Fn(u32) -> bool,
        stop: impl Fn() -> bool,
    ) -> Option<Vec<(f32, u32)>> {
        let Some(entry) = self.entry() else { return Some(Vec::new()) };
        // SAFETY: the caller's promise; the copy outlives its target.
        unsafe {
            let copied = self.copy_of(query);
            let target = self.target_of(&copied);
            with_walker(|walker| {
                let start = self.descend(walker, &target, entry, 0, u32::MAX);
                self.gather(walker, &target, Goal { start, level: 0, keep }, accepts, stop)?;
                Some(walker.pool.accepted().collect())
            })
        }
    }
}
