//! A hierarchical navigable small-world graph over the rows of a store (HNSW; Malkov and
//! Yashunin, arXiv 1603.09320).
//!
//! The graph holds row numbers, and an int8 copy of each vector that walks are steered by; scores
//! that leave it come from the stored vectors. Any thread walks it without a lock while others
//! insert: a link is one atomic word, a list that is being rewritten is read as a mixture of the
//! old and the new one, and either leads to rows of the store. Only writers of one node exclude
//! each other, by a bit of its word.
//!
//! Rows that are deleted stay in the graph and are walked through, never returned. A slot that is
//! reused is no longer marked as linked; until it is inserted again the links to it and from it
//! are merely bad ones.

pub mod insert;
mod links;
pub mod nodes;
mod pool;
pub mod repair;
mod select;
mod target;
#[cfg(test)]
mod tests;
mod visited;
mod walk;

use crate::columns::Rows;
use crate::error::{Result, require};
use crate::kernels::int8_rows::{self, DotRows};
use crate::plan::*;
use crate::view::View;
use crate::views::Views;
use napi_derive::napi;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Every column starts on a multiple of this.
const ALIGNMENT: usize = 64;
/// Fewest and most links of a node above the lowest level.
const M: std::ops::RangeInclusive<usize> = 4..=64;
/// Most links of a node at one level.
const MOST_LINKS: usize = 128;
/// Words that the whole graph shares: the entry (two), and the number of linked rows.
const WORDS: usize = 4;
/// Index of the number of linked rows.
const LINKED: usize = 2;
/// Rows a graph can hold: two bits of a row's word are used for other things.
const MOST_ROWS: usize = 1 << 30;

/// What a walk reads: `GraphColumns` of the contract.
#[napi(object, object_to_js = false)]
pub struct GraphColumns {
    /// Where the columns lie.
    pub layout: GraphLayout,
    /// Words that the whole graph shares.
    pub words: View<u32>,
    /// What is subtracted from vectors before they are copied.
    pub mean: View<f32>,
    /// The buffer of each segment.
    pub segments: Views,
}

/// The columns of one segment by address.
struct Part {
    live: *mut u64,
    linked: *mut u64,
    nodes: *mut u32,
    places: *mut u32,
    terms: *mut f32,
    links: *mut u32,
    copies: *mut i8,
    upper: *mut u32,
    upper_words: usize,
    /// First byte and byte after the last of each column of the buffer.
    spans: [(usize, usize); 7],
    rows: Rows,
}

/// The graph as one call sees it, checked once.
pub struct Graph {
    parts: Vec<Part>,
    words: *mut u32,
    mean: *const f32,
    m: usize,
    dimensions: usize,
    metric: u32,
    precision: u32,
    dots: DotRows,
}

/// Where a walk starts: the row that is linked at the highest level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// A row of the graph.
    pub row: u32,
    /// Its level.
    pub level: usize,
}

impl Graph {
    /// The graph over these rows buffers, when every column lies inside its view.
    pub fn new(layout: &SegmentLayout, columns: &GraphColumns, rows: &[View<u8>]) -> Result<Self> {
        let GraphColumns { layout: graph, words, mean, segments } = columns;
        let d = layout.dimensions as usize;
        require(layout.precision < NONE, "no vectors are stored to walk by")?;
        require(M.contains(&(graph.m as usize)), "m is not in 4..=64")?;
        require(words.len() >= WORDS && words.ptr().addr().is_multiple_of(8), "the graph has no words")?;
        require(mean.len() == d, "the mean is not a vector")?;
        require(segments.len() <= rows.len(), "the graph has more segments than the store")?;
        require(segments.len() * SLOTS <= MOST_ROWS, "more rows than a graph can hold")?;
        let part = |(view, rows): (&View<u8>, &View<u8>)| Part::new(layout, graph, *view, *rows);
        Ok(Graph {
            parts: segments.iter().zip(rows).map(part).collect::<Result<_>>()?,
            words: words.ptr(),
            mean: mean.ptr(),
            m: graph.m as usize,
            dimensions: d,
            metric: layout.metric,
            precision: layout.precision,
            dots: int8_rows::dot_rows(),
        })
    }

    /// Whether no column that a change writes lies on another: a node whose word another column writes may be held for
    /// ever.
    pub fn is_apart(&self) -> bool {
        let words = self.words.addr();
        let mut spans: Vec<_> = self.parts.iter().flat_map(|part| part.spans).collect();
        spans.push((words, words + WORDS * 4));
        spans.retain(|(from, to)| from < to);
        spans.sort_unstable();
        spans.iter().zip(spans.iter().skip(1)).all(|((_, end), (start, _))| end <= start)
    }

    /// Rows that it has room for.
    fn capacity(&self) -> usize {
        self.parts.len() * SLOTS
    }

    /// The part and slot of a row. `None` for a row that is outside: links may say anything.
    #[inline(always)]
    fn locate(&self, row: u32) -> Option<(&Part, usize)> {
        self.parts.get(row as usize / SLOTS).map(|part| (part, row as usize % SLOTS))
    }

    /// Whether a row is live.
    #[inline(always)]
    pub fn is_live(&self, row: u32) -> bool {
        self.locate(row).is_some_and(|(part, slot)| bit(part.live, slot))
    }

    /// Whether a row is linked.
    pub fn is_linked(&self, row: u32) -> bool {
        self.locate(row).is_some_and(|(part, slot)| bit(part.linked, slot))
    }

    /// Live bits of a block of a segment without those of linked slots: a walk does not find them.
    pub fn pending(&self, segment: usize, block: usize, live: u64) -> u64 {
        let linked = self.parts.get(segment).map_or(0, |part| word(part.linked.wrapping_add(block)));
        live & !linked
    }

    /// Marks a row whose links are written.
    fn mark_linked(&self, row: u32) {
        let Some((part, slot)) = self.locate(row) else { return };
        // SAFETY: the column has a word for every block, and every thread accesses it atomically.
        let word = unsafe { AtomicU64::from_ptr(part.linked.wrapping_add(slot / BLOCK)) };
        if word.fetch_or(1 << (slot % BLOCK), Ordering::Release) >> (slot % BLOCK) & 1 == 0 {
            // SAFETY: `words` has as many, and every thread accesses them atomically.
            unsafe { AtomicU32::from_ptr(self.words.wrapping_add(LINKED)) }.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The entry; `None` while the graph is empty.
    fn entry(&self) -> Option<Entry> {
        unpack(self.entry_word().load(Ordering::Acquire))
    }

    /// Makes a row the entry of an empty graph; false when there was one.
    fn found(&self, entry: Entry) -> bool {
        self.entry_word().compare_exchange(0, pack(entry), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Makes a row the entry if its level is higher than that of the present one.
    fn raise(&self, entry: Entry) {
        let higher = |word| unpack(word).is_none_or(|present| present.level < entry.level).then(|| pack(entry));
        // A refusal says that the present entry is as high, which is all that is wanted.
        let _ = self.entry_word().fetch_update(Ordering::AcqRel, Ordering::Acquire, higher);
    }

    fn entry_word(&self) -> &AtomicU64 {
        // SAFETY: the first two words, 8-byte aligned, are accessed as one by every thread.
        unsafe { AtomicU64::from_ptr(self.words.cast()) }
    }
}

fn pack(entry: Entry) -> u64 {
    (entry.level as u64) << 32 | (u64::from(entry.row) + 1)
}

fn unpack(word: u64) -> Option<Entry> {
    let row = (word as u32).checked_sub(1)?;
    Some(Entry { row, level: ((word >> 32) as usize).min(nodes::MOST_LEVELS) })
}

/// A word that other threads change.
#[inline(always)]
fn word(at: *mut u64) -> u64 {
    // SAFETY: callers pass a word of a checked column, 8-byte aligned, that is accessed atomically.
    unsafe { AtomicU64::from_ptr(at) }.load(Ordering::Acquire)
}

/// The bit of a slot in a column of words.
#[inline(always)]
fn bit(words: *mut u64, slot: usize) -> bool {
    word(words.wrapping_add(slot / BLOCK)) >> (slot % BLOCK) & 1 == 1
}

impl Part {
    fn new(layout: &SegmentLayout, graph: &GraphLayout, view: View<u8>, rows: View<u8>) -> Result<Self> {
        let d = layout.dimensions as usize;
        require(view.ptr().addr().is_multiple_of(ALIGNMENT), "a part does not start on a multiple of 64")?;
        let column = |view: View<u8>, offset: u32, bytes: usize| -> Result<*mut u8> {
            let offset = offset as usize;
            require(offset.is_multiple_of(ALIGNMENT), "a column is not 64-byte aligned")?;
            require(view.len() >= offset + bytes, "a column outside its buffer")?;
            Ok(view.ptr().wrapping_add(offset))
        };
        let stored = Rows::new(layout, rows)?;
        let copies = match layout.precision {
            INT8 => column(rows, layout.vectors_offset, SLOTS * d)?,
            _ => column(view, graph.copies_offset, SLOTS * d)?,
        };
        let m = graph.m as usize;
        let sizes = [
            (graph.linked_offset, BLOCKS * 8),
            (graph.nodes_offset, SLOTS * 4),
            (graph.places_offset, SLOTS * 4),
            (graph.terms_offset, SLOTS * 8),
            (graph.links_offset, SLOTS * 8 * m),
            (graph.copies_offset, if layout.precision == INT8 { 0 } else { SLOTS * d }),
            (graph.upper_offset, view.len().saturating_sub(graph.upper_offset as usize)),
        ];
        let start = view.ptr().addr();
        Ok(Part {
            live: column(rows, layout.live_offset, BLOCKS * 8)?.cast(),
            linked: column(view, graph.linked_offset, BLOCKS * 8)?.cast(),
            nodes: column(view, graph.nodes_offset, SLOTS * 4)?.cast(),
            places: column(view, graph.places_offset, SLOTS * 4)?.cast(),
            terms: column(view, graph.terms_offset, SLOTS * 8)?.cast(),
            links: column(view, graph.links_offset, SLOTS * 8 * m)?.cast(),
            copies: copies.cast(),
            upper: column(view, graph.upper_offset, 0)?.cast(),
            upper_words: (view.len() - graph.upper_offset as usize) / 4,
            spans: sizes.map(|(offset, bytes)| (start + offset as usize, start + offset as usize + bytes)),
            rows: stored,
        })
    }
}
