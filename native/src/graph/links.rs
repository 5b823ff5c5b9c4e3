//! The neighbour lists of nodes: read by anybody at any time, written under the node's bit.

use super::nodes::{HELD, MOST_LEVELS};
use super::{Graph, MOST_LINKS};
use crate::kernels::prefetch::prefetch_scattered;
use std::sync::atomic::{AtomicU32, Ordering};

/// The rows that a node links to at one level. A word is a row plus one, or 0 after the last.
pub struct List {
    words: *mut u32,
    /// Links that it has room for.
    pub room: usize,
}

/// Room for the links of any list.
pub type Links = [u32; MOST_LINKS];

impl List {
    fn word(&self, i: usize) -> &AtomicU32 {
        // SAFETY: callers stay below `room`; the words are aligned and accessed atomically.
        unsafe { AtomicU32::from_ptr(self.words.wrapping_add(i)) }
    }

    /// Copies the rows to `out` and returns the filled part. What a row's link says is published
    /// after what the row is walked by.
    #[inline(always)]
    pub fn read<'a>(&self, out: &'a mut Links) -> &'a [u32] {
        let mut count = 0;
        for (i, out) in out.iter_mut().enumerate().take(self.room) {
            let Some(row) = self.word(i).load(Ordering::Acquire).checked_sub(1) else { break };
            *out = row;
            count += 1;
        }
        out.get(..count).unwrap_or_default()
    }

    /// Replaces the rows. The caller holds the node.
    pub fn write(&self, rows: &[u32]) {
        for i in 0..self.room {
            let link = rows.get(i).map_or(0, |row| row.wrapping_add(1));
            self.word(i).store(link, Ordering::Release);
        }
    }

    /// Adds a row at the end; false when there is no room. The caller holds the node.
    pub fn push(&self, row: u32) -> bool {
        let free = (0..self.room).find(|i| self.word(*i).load(Ordering::Relaxed) == 0);
        free.map(|i| self.word(i).store(row.wrapping_add(1), Ordering::Release)).is_some()
    }
}

/// A node that this thread writes, until dropped.
pub struct Held<'a>(&'a AtomicU32);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_and(!HELD, Ordering::Release);
    }
}

impl Graph {
    fn node(&self, row: u32) -> Option<&AtomicU32> {
        let (part, slot) = self.locate(row)?;
        // SAFETY: the column has a word for every slot, accessed atomically.
        Some(unsafe { AtomicU32::from_ptr(part.nodes.wrapping_add(slot)) })
    }

    /// Highest level of a row.
    pub fn level(&self, row: u32) -> usize {
        self.node(row).map_or(0, |node| (node.load(Ordering::Relaxed) & !HELD) as usize).min(MOST_LEVELS)
    }

    /// The list of a row at a level; `None` for a level that the row does not reach.
    #[inline(always)]
    pub fn list(&self, row: u32, level: usize) -> Option<List> {
        let (part, slot) = self.locate(row)?;
        if level == 0 {
            return Some(List { words: part.links.wrapping_add(slot * 2 * self.m), room: 2 * self.m });
        }
        // SAFETY: the column has a place for every slot; it never changes once others know the buffer.
        let place = unsafe { part.places.add(slot).read() } as usize;
        let first = place + (level - 1) * self.m;
        let inside = level <= self.level(row) && first + self.m <= part.upper_words;
        inside.then(|| List { words: part.upper.wrapping_add(first), room: self.m })
    }

    /// Asks for the lowest list of a row.
    #[inline(always)]
    pub fn prefetch_links(&self, row: u32) {
        if let Some((part, slot)) = self.locate(row) {
            prefetch_scattered(part.links.wrapping_add(slot * 2 * self.m).cast(), self.m * 8);
        }
    }

    /// Waits until no other thread writes the node. A holder does a few microseconds of work.
    pub fn hold(&self, row: u32) -> Option<Held<'_>> {
        let node = self.node(row)?;
        while node.fetch_or(HELD, Ordering::Acquire) & HELD != 0 {
            while node.load(Ordering::Relaxed) & HELD != 0 {
                std::hint::spin_loop();
            }
        }
        Some(Held(node))
    }
}
