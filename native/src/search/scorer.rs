//! Exact scores of stored vectors at each precision, or of product codes alone, with the queries in the form they take.

use super::segment::Segment;
use crate::kernels::dot::{self, Dot, Dot8};
use crate::kernels::int8::{self, DotI8, SumSquares};
use crate::kernels::l2;
use crate::norm::norm2;
use crate::plan::{F16, INT8, L2, SearchPlan};
use crate::query::ScoreTables;
use crate::select::Reservoir;

/// Queries that one pass over a float row takes.
pub const EIGHT: usize = 8;
/// Largest magnitude of a query's 15-bit integers: 127 * 128.
const QUERY_LIMIT: f32 = 16_256.0;

/// Scores rows for the queries of a search.
pub struct Scorer<'a> {
    vectors: &'a [f32],
    d: usize,
    l2: bool,
    row_bytes: usize,
    rows: Rows,
}

/// Kernels by kind of row.
enum Rows {
    /// For one query and for eight.
    Float {
        one: Dot,
        eight: Dot8,
    },
    Int8 {
        dot: DotI8,
        squares: SumSquares,
        queries: Vec<Int8Query>,
    },
    Products {
        queries: Vec<ScoreTables>,
    },
}

/// A query as integers of 15 bits in two halves: `128 * hi + lo`.
struct Int8Query {
    hi: Vec<i8>,
    lo: Vec<i8>,
    scale: f64,
    norm2: f64,
}

impl<'a> Scorer<'a> {
    /// Takes prepared queries of the plan's dimensions, and the kernels in force.
    pub fn new(plan: &SearchPlan, vectors: &'a [f32]) -> Self {
        let d = plan.dimensions as usize;
        let l2 = plan.metric == L2;
        let (bytes, rows) = match (plan.precision, l2) {
            (INT8, _) => {
                let queries = vectors.chunks_exact(d).map(Int8Query::new).collect();
                (1, Rows::Int8 { dot: int8::dot(), squares: int8::sum_squares(), queries })
            }
            (F16, false) => (2, Rows::Float { one: dot::f16(), eight: dot::f16x8() }),
            (F16, true) => (2, Rows::Float { one: l2::f16(), eight: l2::f16x8() }),
            (_, false) => (4, Rows::Float { one: dot::f32(), eight: dot::f32x8() }),
            (_, true) => (4, Rows::Float { one: l2::f32(), eight: l2::f32x8() }),
        };
        Scorer { vectors, d, l2, row_bytes: bytes * d, rows }
    }

    /// Scores product codes where no vectors are.
    pub fn products(plan: &SearchPlan, queries: Vec<ScoreTables>) -> Self {
        let d = plan.dimensions as usize;
        // One look-up a subspace, each in a line of its own.
        let row_bytes = plan.subspaces as usize;
        Scorer { vectors: &[], d, l2: false, row_bytes, rows: Rows::Products { queries } }
    }

    /// Bytes that scoring a row reads.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Score of a slot for query `query`.
    ///
    /// # Safety
    /// The segment is of the plan's precision, `slot` is one of it, `query` is one of ours.
    #[inline]
    pub unsafe fn score(&self, segment: &Segment, slot: usize, query: usize) -> f32 {
        let x = segment.vector(slot);
        match &self.rows {
            Rows::Float { one, .. } => {
                // SAFETY: row and query have `d` elements; the kernel was picked for this CPU.
                let sum = unsafe { one(x, self.vectors.as_ptr().add(query * self.d), self.d) };
                self.signed(sum)
            }
            Rows::Products { queries } => {
                // SAFETY: a slot has a code of as many subspaces as the tables.
                queries.get(query).map_or(f32::NAN, |tables| unsafe { tables.score(segment.code(slot)) })
            }
            Rows::Int8 { dot, squares, queries } => queries.get(query).map_or(f32::NAN, |query| {
                // SAFETY: row and both halves of the query have `d` elements.
                unsafe {
                    let (hi, lo) = dot(x.cast(), query.hi.as_ptr(), query.lo.as_ptr(), self.d);
                    let squares = if self.l2 { squares(x.cast(), self.d) } else { 0 };
                    self.int8_score(query, hi, lo, squares, segment.scale(slot))
                }
            }),
        }
    }

    /// Offers the score of every slot for every query.
    ///
    /// # Safety
    /// The segment is of the plan's precision, the slots are of it, and the sinks are as many as
    /// the queries.
    pub unsafe fn scan(&self, segment: &Segment, slots: &[usize], first_row: u32, sinks: &mut [Reservoir]) {
        for (group, sinks) in sinks.chunks_mut(EIGHT).enumerate() {
            let first = group * EIGHT;
            for slot in slots {
                let x = segment.vector(*slot);
                let row = first_row + *slot as u32;
                let queries = self.vectors.as_ptr().wrapping_add(first * self.d);
                // SAFETY: `first` and the sinks after it are queries of ours.
                unsafe {
                    match &self.rows {
                        Rows::Float { eight, .. } if sinks.len() == EIGHT => {
                            let mut sums = [0f32; EIGHT];
                            eight(x, queries, self.d, sums.as_mut_ptr());
                            sinks.iter_mut().zip(sums).for_each(|(sink, sum)| sink.offer(self.signed(sum), row));
                        }
                        _ => {
                            for (query, sink) in (first..).zip(sinks.iter_mut()) {
                                sink.offer(self.score(segment, *slot, query), row);
                            }
                        }
                    }
                }
            }
        }
    }

    /// A sum of products is a score; squared differences count down from zero.
    #[inline(always)]
    fn signed(&self, sum: f32) -> f32 {
        if self.l2 { 0.0 - sum } else { sum }
    }

    #[inline(always)]
    fn int8_score(&self, query: &Int8Query, hi: i32, lo: i32, squares: i32, scale: f32) -> f32 {
        let scale = f64::from(scale);
        let dot = (128 * i64::from(hi) + i64::from(lo)) as f64 * scale * query.scale;
        if self.l2 {
            (2.0 * dot - query.norm2 - scale * scale * f64::from(squares)).min(0.0) as f32
        } else {
            dot as f32
        }
    }
}

impl Int8Query {
    fn new(vector: &[f32]) -> Self {
        let scale = vector.iter().fold(0f32, |max, q| max.max(q.abs())) / QUERY_LIMIT;
        let (mut hi, mut lo) = (Vec::with_capacity(vector.len()), Vec::with_capacity(vector.len()));
        for q in vector {
            // A zero query divides zero by zero: NaN becomes the integer 0.
            let q = (q / scale).round_ties_even().clamp(-QUERY_LIMIT, QUERY_LIMIT) as i32;
            let high = (q as f32 / 128.0).round_ties_even() as i32;
            hi.push(high as i8);
            lo.push((q - 128 * high) as i8);
        }
        // SAFETY: the vector's own elements.
        let norm2 = unsafe { norm2(vector.as_ptr(), vector.len()) };
        Int8Query { hi, lo, scale: f64::from(scale), norm2 }
    }
}
