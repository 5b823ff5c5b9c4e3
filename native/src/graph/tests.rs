use super::*;
use crate::kernels::blocks::fixture::{AlignedBytes, random};
use crate::search::Cancel;
use std::collections::HashSet;
use std::thread;

/// A store of one segment with a graph over it.
pub struct Store {
    layout: SegmentLayout,
    graph: GraphLayout,
    rows: AlignedBytes,
    part: AlignedBytes,
    words: Vec<u64>,
    mean: Vec<f32>,
    vectors: Vec<Vec<f32>>,
}

const SEED: u32 = 5;
const EF: usize = 100;

impl Store {
    pub fn new(metric: u32, precision: u32, m: u32, vectors: Vec<Vec<f32>>) -> Self {
        let d = vectors.first().map_or(3, Vec::len);
        let width = [4, 2, 1][precision as usize] * d;
        let (generations, scales) = (8 * BLOCKS, 8 * BLOCKS + 2 * SLOTS);
        let at = scales + 4 * SLOTS;
        let layout = SegmentLayout {
            dimensions: d as u32,
            metric,
            precision,
            live_offset: 0,
            generation_offset: generations as u32,
            scales_offset: scales as u32,
            vectors_offset: at as u32,
            factor_scale: 1.0,
            subspaces: 0,
            subspace_bits: 0,
            rotated: 0,
        };
        let mut offset = 8 * BLOCKS;
        let mut column = |bytes: usize| {
            offset += bytes;
            (offset - bytes) as u32
        };
        let graph = GraphLayout {
            m,
            linked_offset: 0,
            nodes_offset: column(4 * SLOTS),
            places_offset: column(4 * SLOTS),
            terms_offset: column(8 * SLOTS),
            links_offset: column(8 * SLOTS * m as usize),
            copies_offset: column(SLOTS * d),
            upper_offset: column(0),
        };
        let upper = nodes::upper_links(m, SEED, 0).unwrap() as usize;
        let mut part = AlignedBytes::zeroed(graph.upper_offset as usize + 4 * upper);
        let view = View::from_raw(part.bytes().as_mut_ptr(), part.bytes().len());
        nodes::prepare(&graph, SEED, 0, view).unwrap();
        let mut store = Store {
            layout,
            graph,
            rows: AlignedBytes::zeroed(at + width * SLOTS),
            part,
            words: vec![0; 2],
            mean: vec![0.0; d],
            vectors: Vec::new(),
        };
        let count = vectors.len() as f32;
        for vector in &vectors {
            store.mean.iter_mut().zip(vector).for_each(|(mean, x)| *mean += x / count);
        }
        vectors.into_iter().enumerate().for_each(|(row, vector)| store.put(row, vector));
        store
    }

    /// Stores a vector and makes its row live and pending.
    fn put(&mut self, row: usize, vector: Vec<f32>) {
        let view = View::from_raw(self.rows.bytes().as_mut_ptr(), self.rows.bytes().len());
        // SAFETY: the row is a slot of the segment.
        unsafe { Rows::new(&self.layout, view).unwrap().store(row, vector.as_ptr()) };
        if self.vectors.len() <= row {
            self.vectors.resize(row + 1, Vec::new());
        }
        self.vectors[row] = vector;
        self.part.bytes()[row / 8] &= !(1 << (row % 8));
        self.rows.bytes()[row / 8] |= 1 << (row % 8);
    }

    fn delete(&mut self, row: usize) {
        self.rows.bytes()[row / 8] &= !(1 << (row % 8));
    }

    pub fn with_graph<T>(&mut self, run: impl FnOnce(&Graph) -> T) -> T {
        let view = |bytes: &mut AlignedBytes| View::from_raw(bytes.bytes().as_mut_ptr(), bytes.bytes().len());
        let columns = GraphColumns {
            layout: self.graph,
            words: View::from_raw(self.words.as_mut_ptr().cast(), 2 * self.words.len()),
            mean: View::from_raw(self.mean.as_mut_ptr(), self.mean.len()),
            segments: vec![view(&mut self.part)].into(),
        };
        run(&Graph::new(&self.layout, &columns, &[view(&mut self.rows)]).unwrap())
    }

    pub fn build(&mut self) {
        let rows = self.vectors.len() as u32;
        // SAFETY: nobody else uses the store.
        assert_eq!(self.with_graph(|graph| unsafe { graph.insert(0..rows, EF, || false) }), rows as usize);
    }

    /// Builds with several threads, which take rows in turn.
    pub fn build_in_parallel(&mut self, threads: u32) {
        struct Shared<'a>(&'a Graph);
        // SAFETY: the graph is addresses alone, and outlives the threads.
        unsafe impl Sync for Shared<'_> {}
        let rows = self.vectors.len() as u32;
        self.with_graph(|graph| {
            let shared = &Shared(graph);
            thread::scope(|scope| {
                for first in 0..threads {
                    scope.spawn(move || {
                        let Shared(graph) = shared;
                        // SAFETY: the threads have different rows, and nobody writes vectors.
                        unsafe { graph.insert((first..rows).step_by(threads as usize), EF, || false) }
                    });
                }
            });
        });
    }

    fn nearest(&mut self, query: &[f32], ef: usize) -> Vec<u32> {
        let accepted = |graph: &Graph| {
            // SAFETY: the query has the dimensions of the graph.
            unsafe { graph.nearest(query, ef, |row| graph.is_live(row), || false) }
        };
        self.with_graph(accepted).unwrap().into_iter().map(|(_, row)| row).collect()
    }

    fn score(&self, query: &[f32], row: usize) -> f64 {
        let terms = query.iter().zip(&self.vectors[row]).map(|(q, x)| (f64::from(*q), f64::from(*x)));
        terms.map(|(q, x)| if self.layout.metric == L2 { -(q - x) * (q - x) } else { q * x }).sum()
    }

    fn live(&mut self) -> Vec<usize> {
        let bytes = self.rows.bytes();
        (0..SLOTS).filter(|row| bytes[row / 8] >> (row % 8) & 1 == 1).collect()
    }

    /// Share of the ten nearest live rows that a walk finds among the best `ef`.
    fn recall(&mut self, queries: &[Vec<f32>], ef: usize) -> f64 {
        let live = self.live();
        let mut found = 0;
        for query in queries {
            let mut all: Vec<_> = live.iter().map(|row| (self.score(query, *row), *row as u32)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let nearest: HashSet<u32> = self.nearest(query, ef).into_iter().collect();
            found += all.iter().take(10).filter(|(_, row)| nearest.contains(row)).count();
        }
        found as f64 / (queries.len() * live.len().min(10)) as f64
    }

    /// Every list of every row.
    fn links(&mut self) -> Vec<Vec<u32>> {
        let rows = self.vectors.len() as u32;
        self.with_graph(|graph| {
            let list = |row, level| {
                let mut links = [0; MOST_LINKS];
                graph.list(row, level).unwrap().read(&mut links).to_vec()
            };
            (0..rows).flat_map(|row| (0..=graph.level(row)).map(move |level| list(row, level))).collect()
        })
    }
}

/// Vectors around as many centres as there are sixteenths of them, of length 1.
fn clustered(seed: u64, count: usize, d: usize) -> Vec<Vec<f32>> {
    let mut next = random(seed);
    let mut float = move || (next() % 20_001) as f32 / 10_000.0 - 1.0;
    let mut centre_of = random(77);
    let mut centre_float = move || (centre_of() % 20_001) as f32 / 10_000.0 - 1.0;
    let centres: Vec<Vec<f32>> = (0..60).map(|_| (0..d).map(|_| centre_float()).collect()).collect();
    (0..count)
        .map(|i| {
            let vector: Vec<f32> = centres[i * 7 % centres.len()].iter().map(|c| c + 0.7 * float()).collect();
            let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.into_iter().map(|x| x / norm).collect()
        })
        .collect()
}

#[test]
fn walks_find_the_nearest_rows_by_every_metric_and_precision() {
    for metric in [COSINE, DOT, L2] {
        for precision in [F32, F16, INT8] {
            let mut store = Store::new(metric, precision, 16, clustered(1, 3000, 24));
            store.build();
            let recall = store.recall(&clustered(2, 40, 24), 64);
            assert!(recall > 0.97, "{metric} {precision}: {recall}");
        }
    }
}

#[test]
fn one_thread_builds_the_same_graph_every_time() {
    let mut links = [(), ()].map(|()| {
        let mut store = Store::new(L2, F32, 8, clustered(3, 1500, 10));
        store.build();
        store.links()
    });
    let [first, second] = &mut links;
    assert_eq!(first, second);
}

#[test]
fn threads_build_a_graph_as_good() {
    let mut store = Store::new(COSINE, F32, 16, clustered(4, 4000, 24));
    store.build_in_parallel(4);
    let recall = store.recall(&clustered(5, 40, 24), 64);
    assert!(recall > 0.97, "{recall}");
    store.with_graph(|graph| assert!((0..4000).all(|row| graph.is_linked(row))));
}

#[test]
fn deleting_half_keeps_recall_before_and_after_the_repair() {
    let mut store = Store::new(COSINE, F32, 16, clustered(6, 4000, 24));
    store.build();
    (0..4000).filter(|row| row % 2 == 0 || row % 60 < 9).for_each(|row| store.delete(row));
    let queries = clustered(7, 40, 24);
    let before = store.recall(&queries, 64);
    assert!(before > 0.97, "{before}");
    // SAFETY: nobody else uses the store.
    let end = store.with_graph(|graph| unsafe { graph.repair(0, 4000, EF, || false) });
    assert_eq!(end, 4000);
    let after = store.recall(&queries, 64);
    assert!(after > 0.97, "{after}");
    let live: HashSet<u32> = store.live().into_iter().map(|row| row as u32).collect();
    let lists = store.with_graph(|graph| {
        let mut links = [0; MOST_LINKS];
        live.iter().map(|row| graph.list(*row, 0).unwrap().read(&mut links).to_vec()).collect::<Vec<_>>()
    });
    assert!(lists.iter().all(|list| !list.is_empty() && list.iter().all(|row| live.contains(row))));
}

#[test]
fn reused_slots_are_found_by_their_new_vectors() {
    let mut store = Store::new(COSINE, F32, 16, clustered(8, 3000, 24));
    store.build();
    for round in 0..4 {
        let moved = clustered(20 + round, 1000, 24);
        for (i, vector) in moved.into_iter().enumerate() {
            store.put((i * 3 + round as usize) % 3000, vector);
        }
        store.build();
    }
    let recall = store.recall(&clustered(9, 40, 24), 64);
    assert!(recall > 0.96, "{recall}");
}

#[test]
fn copies_of_one_vector_are_all_within_reach() {
    let mut store = Store::new(COSINE, F32, 8, vec![vec![0.6, 0.8, 0.0]; 5000]);
    store.build();
    assert_eq!(store.nearest(&[1.0, 0.0, 0.0], 2048).len(), 2048);
}

#[test]
fn small_graphs_hold_what_there_is() {
    let mut store = Store::new(L2, F32, 4, Vec::new());
    assert!(store.nearest(&[0.0, 0.0, 0.0], 10).is_empty());
    for rows in 1..30usize {
        store.put(rows - 1, vec![rows as f32, 1.0, -1.0]);
        store.build();
        let nearest = store.nearest(&[1.0, 1.0, -1.0], 50);
        assert_eq!(nearest, (0..rows as u32).collect::<Vec<_>>());
    }
    (0..29).for_each(|row| store.delete(row));
    assert!(store.nearest(&[0.0, 0.0, 0.0], 10).is_empty());
}

#[test]
fn data_far_from_the_origin_is_told_apart() {
    let mut next = random(11);
    let mut float = || (next() % 20_001) as f32 / 10_000.0 - 1.0;
    let vectors: Vec<Vec<f32>> = (0..3000).map(|_| vec![1000.0 + float(), -5000.0 + float()]).collect();
    let mut store = Store::new(L2, F32, 16, vectors.clone());
    store.build();
    let recall = store.recall(&vectors[..40], 64);
    assert!(recall > 0.97, "{recall}");
}

#[test]
fn a_call_stops_between_rows_and_between_hops() {
    let mut store = Store::new(COSINE, F32, 16, clustered(12, 500, 8));
    let mut word = 1;
    let cancel = Cancel::new(&raw mut word);
    // SAFETY: the word outlives the calls, and nobody else uses the store.
    store.with_graph(|graph| unsafe {
        let stop = || cancel.check().is_none();
        assert_eq!(graph.insert(0..500, EF, stop), 0);
        assert_eq!(graph.insert(0..500, EF, || false), 500);
        assert_eq!(graph.repair(0, 500, EF, stop), 0);
        assert!(graph.nearest(&[0.5; 8], 10, |_| true, stop).is_none());
    });
}

#[test]
fn links_that_lead_outside_are_walked_past() {
    let mut store = Store::new(COSINE, F32, 8, clustered(13, 300, 8));
    store.build();
    let links = store.graph.links_offset as usize;
    for row in (0..300).step_by(3) {
        store.part.bytes()[links + row * 64..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    }
    assert!(store.nearest(&[0.5; 8], 20).len() == 20);
}
