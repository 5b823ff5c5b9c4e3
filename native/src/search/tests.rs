use super::*;
use crate::dispatch::{self, Isa};
use crate::kernels::blocks::fixture::{AlignedBytes, random};
use crate::kernels::f16;
use crate::plan::*;
use std::collections::HashSet;

const D: usize = 37;
const QUERIES: usize = 13;

/// A store of one segment and a half, and a search over it.
struct Store {
    plan: SearchPlan,
    rows: Vec<AlignedBytes>,
    codes: Vec<AlignedBytes>,
    queries: Vec<f32>,
    encoder: Vec<f32>,
    control: Vec<i32>,
}

#[derive(Debug, PartialEq)]
struct Found {
    row: u32,
    generation: u16,
    score: f32,
    estimate: f32,
}

fn float(next: &mut impl FnMut() -> u64) -> f32 {
    (next() % 20_001) as f32 / 10_000.0 - 1.0
}

impl Store {
    fn new(metric: u32, precision: u32, mode: u32, blocks: usize) -> Self {
        let mut next = random(u64::from(metric * 16 + precision * 4 + mode));
        let width = [4, 2, 1, 0][precision as usize] * D;
        let (generations, scales, vectors) = (8 * BLOCKS, 8 * BLOCKS + 2 * SLOTS, 8 * BLOCKS + 6 * SLOTS);
        let plan = SearchPlan {
            dimensions: D as u32,
            metric,
            precision,
            live_offset: 0,
            generation_offset: generations as u32,
            scales_offset: scales as u32,
            vectors_offset: vectors as u32,
            factor_scale: 2.0,
            subspaces: 0,
            subspace_bits: 0,
            rotated: 0,
            mode,
            keep: 10,
            rerank: 0,
            wanted: None,
            deepest: None,
            nprobe: 0,
            margin: None,
            from_block: 0,
            to_block: blocks as u32,
            cancel: 1,
            min_score: None,
            seed: None,
            fetch: None,
            lambda: None,
            fast: None,
            ef_search: None,
        };
        let (mut rows, mut codes) = (Vec::new(), Vec::new());
        for segment in 0..blocks.div_ceil(BLOCKS) {
            let mut row = AlignedBytes::zeroed(vectors + width * SLOTS);
            let mut code = AlignedBytes::zeroed(codes_bytes(metric));
            for b in 0..BLOCKS.min(blocks - segment * BLOCKS) {
                let live = next() << 32 | next() & 0xffff_ffff;
                row.bytes()[b * 8..][..8].copy_from_slice(&live.to_le_bytes());
                let (bits, halves) = code.bytes().split_at_mut(FACTORS_OFFSET);
                bits[b * CODE_BLOCK_BYTES..][..CODE_BLOCK_BYTES].iter_mut().for_each(|byte| *byte = next() as u8);
                for column in halves.chunks_exact_mut(2 * SLOTS) {
                    for half in column[b * BLOCK * 2..][..BLOCK * 2].chunks_exact_mut(2) {
                        half.copy_from_slice(&(0x3800 + (next() % 0xc00) as u16).to_le_bytes());
                    }
                }
            }
            for slot in 0..SLOTS.min((blocks - segment * BLOCKS) * BLOCK) {
                let bytes = row.bytes();
                bytes[generations + 2 * slot..][..2].copy_from_slice(&((2 * slot) as u16).to_le_bytes());
                bytes[scales + 4 * slot..][..4].copy_from_slice(&(1.0 / 127.0f32).to_le_bytes());
                let vector = &mut bytes[vectors + slot * width..][..width];
                match precision {
                    F32 => vector.chunks_exact_mut(4).for_each(|x| x.copy_from_slice(&float(&mut next).to_le_bytes())),
                    F16 => vector
                        .chunks_exact_mut(2)
                        .for_each(|x| x.copy_from_slice(&f16::from_f32(float(&mut next)).to_le_bytes())),
                    _ => vector.iter_mut().for_each(|x| *x = (next() % 255) as u8 ^ 0x80),
                }
            }
            rows.push(row);
            codes.push(code);
        }
        let queries = (0..QUERIES * D).map(|_| float(&mut next)).collect();
        let encoder = (0..D + D * CODE_BITS).map(|_| float(&mut next) * 0.2).collect();
        Store { plan, rows, codes, queries, encoder, control: vec![7, 0] }
    }

    fn try_search(&mut self) -> Result<(bool, Vec<Vec<Found>>)> {
        let view = |bytes: &mut AlignedBytes| View::from_raw(bytes.bytes().as_mut_ptr(), bytes.bytes().len());
        let (rows, codes): (Vec<_>, Vec<_>) =
            (self.rows.iter_mut().map(view).collect(), self.codes.iter_mut().map(view).collect());
        let keep = self.plan.keep as usize;
        let (mut found, mut counts) =
            ((vec![0; QUERIES * keep], vec![0; QUERIES * keep]), vec![99; self.queries.len() / D]);
        let (mut scores, mut estimates) = (vec![0f32; QUERIES * keep], vec![0f32; QUERIES * keep]);
        let hits = Hits {
            rows: View::from_raw(found.0.as_mut_ptr(), found.0.len()),
            generations: View::from_raw(found.1.as_mut_ptr(), found.1.len()),
            scores: View::from_raw(scores.as_mut_ptr(), scores.len()),
            estimates: View::from_raw(estimates.as_mut_ptr(), estimates.len()),
            counts: View::from_raw(counts.as_mut_ptr(), counts.len()),
        };
        let encoder = View::from_raw(self.encoder.as_mut_ptr(), self.encoder.len());
        let columns = Columns { rows: rows.into(), codes: codes.into(), encoder, lists: None, graph: None };
        let arrays = Arrays {
            columns: &columns,
            queries: View::from_raw(self.queries.as_mut_ptr(), self.queries.len()),
            control: View::from_raw(self.control.as_mut_ptr(), self.control.len()),
            hits: &hits,
            filter: None,
        };
        let cancelled = search(&self.plan, &arrays)?;
        let hit =
            |at: usize| Found { row: found.0[at], generation: found.1[at], score: scores[at], estimate: estimates[at] };
        let of_query = |(i, count): (usize, &u32)| (i * keep..i * keep + *count as usize).map(hit).collect();
        Ok((cancelled, counts.iter().enumerate().map(of_query).collect()))
    }

    fn search(&mut self) -> Vec<Vec<Found>> {
        let (cancelled, found) = self.try_search().unwrap();
        assert!(!cancelled);
        found
    }

    /// Best rows by the definition of a score in f64.
    fn naive(&mut self, query: usize, from: usize, to: usize) -> Vec<(f64, u32)> {
        let plan = self.plan;
        let mut q: Vec<f64> = self.queries[query * D..][..D].iter().map(|x| f64::from(*x)).collect();
        if plan.metric == COSINE {
            let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
            q.iter_mut().for_each(|x| *x /= norm);
        }
        let mut all: Vec<(f64, u32)> = Vec::new();
        for row in from * BLOCK..to * BLOCK {
            let (bytes, slot) = (self.rows[row / SLOTS].bytes(), row % SLOTS);
            if bytes[slot / 8] >> (slot % 8) & 1 == 0 {
                continue;
            }
            let element = |i: usize| {
                let at = |width: usize| plan.vectors_offset as usize + (slot * D + i) * width;
                match plan.precision {
                    F32 => f64::from(f32::from_le_bytes(bytes[at(4)..][..4].try_into().unwrap())),
                    F16 => f64::from(f16::to_f32(u16::from_le_bytes(bytes[at(2)..][..2].try_into().unwrap()))),
                    _ => f64::from(bytes[at(1)] as i8) * f64::from(1.0 / 127.0f32),
                }
            };
            let terms = q.iter().enumerate().map(|(i, q)| match plan.metric {
                L2 => -(q - element(i)) * (q - element(i)),
                _ => q * element(i),
            });
            all.push((terms.sum(), row as u32));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all
    }
}

/// Every available instruction set in turn. Results must not depend on what other tests put in
/// force meanwhile.
fn each_isa(mut test: impl FnMut()) {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        dispatch::use_isa(isa.name()).unwrap();
        test();
    }
}

#[test]
fn exact_scores_are_those_of_the_definition() {
    for metric in [COSINE, DOT, L2] {
        for precision in [F32, F16, INT8] {
            let mut store = Store::new(metric, precision, EXACT, BLOCKS + 70);
            (store.plan.from_block, store.plan.to_block) = (1000, 1080);
            each_isa(|| {
                for (query, found) in store.search().into_iter().enumerate() {
                    let naive = store.naive(query, 1000, 1080);
                    assert_eq!(found.len(), 10);
                    let tolerance = if precision == INT8 { 2e-3 } else { 1e-4 };
                    for (hit, (score, _)) in found.iter().zip(&naive) {
                        assert!(
                            (f64::from(hit.score) - score).abs() < tolerance,
                            "{metric} {precision} {hit:?} {score}"
                        );
                        assert_eq!(hit.score, hit.estimate);
                        assert_eq!(hit.generation, (2 * (hit.row % SLOTS as u32)) as u16);
                    }
                }
            });
        }
    }
}

#[test]
fn reranked_hits_carry_exact_scores_of_the_best_estimates() {
    for (metric, mode) in [(COSINE, FLAT), (DOT, FLAT), (L2, FLAT), (COSINE, BINARY), (L2, BINARY)] {
        let mut store = Store::new(metric, F32, mode, BLOCKS + 3);
        store.plan.keep = 40;
        let estimated = store.search();
        each_isa(|| assert_eq!(store.search(), estimated, "estimates have the same bits everywhere"));
        (store.plan.keep, store.plan.rerank) = (7, 40);
        let reranked = store.search();
        for (query, (estimated, reranked)) in estimated.iter().zip(&reranked).enumerate() {
            let rows: HashSet<u32> = estimated.iter().map(|hit| hit.row).collect();
            let blocks = store.plan.to_block as usize;
            let naive: Vec<_> =
                store.naive(query, 0, blocks).into_iter().filter(|(_, row)| rows.contains(row)).collect();
            assert_eq!(reranked.len(), 7);
            for (hit, (score, _)) in reranked.iter().zip(naive) {
                assert!((f64::from(hit.score) - score).abs() < 1e-4);
                assert!(estimated.iter().any(|first| first.row == hit.row && first.estimate == hit.estimate));
            }
        }
    }
}

#[test]
fn batches_find_what_single_queries_find() {
    for (mode, precision) in [(FLAT, NONE), (BINARY, NONE), (EXACT, INT8)] {
        let mut store = Store::new(L2, precision, mode, 90);
        let batch = store.search();
        let queries = store.queries.clone();
        for (i, query) in queries.chunks(D).enumerate() {
            store.queries = query.to_vec();
            assert_eq!(store.search()[0], batch[i]);
        }
    }
}

#[test]
fn fewer_rows_than_wanted_give_them_all() {
    let mut store = Store::new(DOT, NONE, FLAT, 2);
    store.plan.keep = 500;
    let live = store.naive_live();
    assert!(store.search().iter().all(|found| found.len() == live));
    store.plan.to_block = 0;
    assert!(store.search().iter().all(Vec::is_empty));
}

impl Store {
    fn naive_live(&mut self) -> usize {
        self.rows[0].bytes()[..8 * BLOCKS].iter().map(|byte| byte.count_ones() as usize).sum()
    }
}

#[test]
fn a_row_being_written_is_dropped() {
    let mut store = Store::new(COSINE, F32, EXACT, 4);
    let best = store.search()[0][0].row as usize;
    let at = store.plan.generation_offset as usize + 2 * best;
    store.rows[0].bytes()[at] |= 1;
    let found = store.search();
    assert_eq!(found[0].len(), 9);
    assert!(found.iter().flatten().all(|hit| hit.row as usize != best));
}

#[test]
fn cancelled_searches_find_nothing() {
    for mode in [EXACT, FLAT, BINARY] {
        let mut store = Store::new(COSINE, F32, mode, 70);
        store.control = vec![0, 1];
        let (cancelled, found) = store.try_search().unwrap();
        assert!(cancelled && found.iter().all(Vec::is_empty));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    type Break = fn(&mut Store);
    let breaks: [Break; 20] = [
        |s| s.plan.dimensions = 0,
        |s| s.plan.dimensions = 8193,
        |s| s.plan.metric = 3,
        |s| s.plan.precision = 4,
        |s| s.plan.mode = 3,
        |s| s.plan.mode = 4,
        |s| s.plan.mode = 5,
        |s| s.plan.keep = 0,
        |s| s.plan.keep = 65_537,
        |s| s.plan.rerank = 65_537,
        |s| s.plan.cancel = 2,
        |s| s.plan.to_block = 1025,
        |s| s.plan.from_block = 71,
        |s| s.plan.live_offset = 8,
        |s| s.plan.vectors_offset += 64,
        |s| s.plan.metric = L2,
        |s| s.plan.factor_scale = f64::NAN,
        |s| s.encoder.truncate(D),
        |s| s.queries.truncate(D + 1),
        |s| s.codes.clear(),
    ];
    for (i, spoil) in breaks.iter().enumerate() {
        let mut store = Store::new(COSINE, F32, FLAT, 70);
        spoil(&mut store);
        assert!(store.try_search().is_err(), "{i}");
    }
    for (mode, rerank) in [(EXACT, 0), (FLAT, 5)] {
        let mut store = Store::new(COSINE, NONE, mode, 70);
        store.plan.rerank = rerank;
        assert!(store.try_search().is_err());
    }
}
