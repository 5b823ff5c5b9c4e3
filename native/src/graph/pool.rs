//! The nearest rows that a walk has met, in order: those it may return and those it still has to
//! look at, in one list.

use crate::select;

/// Bit of an entry whose links have not been followed.
const OPEN: u64 = 1 << 31;
/// Bit of an entry that may be returned.
const ACCEPTED: u64 = 1 << 30;

/// Entries by falling score, then rising row. Rows that are not accepted are kept only as far as a
/// walk must pass through them: while they are nearer than the last accepted one.
#[derive(Default)]
pub struct Pool {
    /// `select::pack` of rows below 2^30, whose two unused bits hold the flags.
    entries: Vec<u64>,
    accepted: usize,
    keep: usize,
    /// No entry before this one is open.
    next: usize,
}

impl Pool {
    /// Empties the pool for a walk that keeps `keep` accepted rows, at least one.
    pub fn begin(&mut self, keep: usize) {
        self.entries.clear();
        self.accepted = 0;
        self.keep = keep;
        self.next = 0;
    }

    /// What a score must exceed to matter.
    #[inline(always)]
    pub fn threshold(&self) -> f32 {
        match self.entries.last() {
            Some(last) if self.accepted == self.keep => score_and_row(*last).0,
            _ => f32::NEG_INFINITY,
        }
    }

    /// Takes a row whose score exceeds the threshold.
    #[inline(always)]
    pub fn push(&mut self, score: f32, row: u32, accepted: bool) {
        let entry = select::pack(score, row);
        let entry = if accepted { entry } else { entry & !ACCEPTED };
        let at = self.entries.partition_point(|other| key(*other) > key(entry));
        self.entries.insert(at, entry);
        self.next = self.next.min(at);
        self.accepted += usize::from(accepted);
        if self.accepted > self.keep {
            self.entries.pop();
            self.accepted -= 1;
        }
        if self.accepted == self.keep {
            while self.entries.last().is_some_and(|last| last & ACCEPTED == 0) {
                self.entries.pop();
            }
        }
    }

    /// The nearest row whose links have not been followed, which now have been.
    #[inline(always)]
    pub fn pop_open(&mut self) -> Option<u32> {
        let rest = self.entries.get_mut(self.next..)?;
        let (ahead, entry) = rest.iter_mut().enumerate().find(|(_, entry)| **entry & OPEN != 0)?;
        *entry &= !OPEN;
        self.next += ahead + 1;
        Some(score_and_row(*entry).1)
    }

    /// The row that comes next, unless a nearer one is found first.
    #[inline(always)]
    pub fn peek_open(&self) -> Option<u32> {
        self.entries.get(self.next..)?.iter().find(|entry| **entry & OPEN != 0).map(|entry| score_and_row(*entry).1)
    }

    /// The accepted rows as `(score, row)`, nearest first.
    pub fn accepted(&self) -> impl Iterator<Item = (f32, u32)> + '_ {
        self.entries.iter().filter(|entry| **entry & ACCEPTED != 0).map(|entry| score_and_row(*entry))
    }
}

/// What entries are ordered by.
#[inline(always)]
fn key(entry: u64) -> u64 {
    entry | OPEN | ACCEPTED
}

#[inline(always)]
fn score_and_row(entry: u64) -> (f32, u32) {
    select::unpack(key(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::blocks::fixture::random;

    /// What the pool must hold, by sorting everything that was offered.
    fn naive(offered: &[(f32, u32, bool)], keep: usize) -> Vec<(f32, u32)> {
        let mut all: Vec<_> = offered.iter().filter(|(_, _, accepted)| *accepted).map(|(s, r, _)| (*s, *r)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.truncate(keep);
        all
    }

    #[test]
    fn the_accepted_are_the_best_of_all_that_was_offered() {
        for (seed, keep, values) in [(1, 1, 50), (2, 10, 7), (3, 64, 1000), (4, 500, 1000)] {
            let mut next = random(seed);
            let (mut pool, mut offered) = (Pool::default(), Vec::new());
            pool.begin(keep);
            for row in 0..400 {
                let (score, accepted) = ((next() % values) as f32, !next().is_multiple_of(3));
                if score > pool.threshold() {
                    offered.push((score, row, accepted));
                    pool.push(score, row, accepted);
                }
                if next().is_multiple_of(2) {
                    pool.pop_open();
                }
            }
            let naive = naive(&offered, keep);
            let scores = |all: &[(f32, u32)]| all.iter().map(|(score, _)| *score).collect::<Vec<_>>();
            let found: Vec<_> = pool.accepted().collect();
            assert_eq!(scores(&found), scores(&naive));
            while pool.pop_open().is_some() {}
            assert!(pool.entries.iter().all(|entry| entry & OPEN == 0) && pool.peek_open().is_none());
        }
    }

    #[test]
    fn open_rows_come_nearest_first_also_those_that_are_not_accepted() {
        let mut pool = Pool::default();
        pool.begin(2);
        for (score, row, accepted) in [(1.0, 10, true), (3.0, 11, false), (2.0, 12, true), (0.5, 13, false)] {
            if score > pool.threshold() {
                pool.push(score, row, accepted);
            }
        }
        assert_eq!(pool.pop_open(), Some(11));
        assert_eq!(pool.threshold(), 1.0);
        pool.push(2.5, 14, true);
        assert_eq!([pool.pop_open(), pool.pop_open(), pool.pop_open()], [Some(14), Some(12), None]);
        assert_eq!(pool.accepted().collect::<Vec<_>>(), vec![(2.5, 14), (2.0, 12)]);
    }
}
