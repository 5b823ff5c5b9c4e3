//! One search: checks the plan, scans, scores the candidates again, writes the hits.

mod bounds;
mod diversity;
mod diversity_fast;
mod lists;
mod order;
mod passing;
mod rescore;
mod scan;
mod scorer;
mod segment;
mod shortlist;
#[cfg(test)]
mod tests;
mod walk;

use crate::codebook::Codebook;
use crate::error::Result;
use crate::filter::{Filter, Mask, Program};
use crate::graph::{Graph, GraphColumns};
use crate::kernels::{adc, fastscan};
use crate::plan::{BINARY, EXACT, FLAT, HNSW, IVF, NONE, PQ, SearchPlan};
use crate::query;
use crate::select::Reservoir;
use crate::view::View;
use crate::views::Views;
use lists::{Listed, Lists};
use napi_derive::napi;
use rescore::{Depth, Hit, Source};
use scan::Area;
pub use scan::Cancel;
use scorer::Scorer;
pub use segment::Segment;

/// What a search reads: `SearchColumns` of the contract.
#[napi(object, object_to_js = false)]
pub struct Columns {
    /// The `rows` buffer of each segment.
    pub rows: Views,
    /// The codes buffer of each segment: codes of all its blocks and, beside signs, their factors and norms.
    pub codes: Views,
    /// Mean and projection, or the parameters of product codes.
    pub encoder: View<f32>,
    /// What mode ivf searches.
    pub lists: Option<ListColumns>,
    /// What mode hnsw walks.
    pub graph: Option<GraphColumns>,
}

/// Inverted lists: `ListColumns` of the contract.
#[napi(object, object_to_js = false)]
pub struct ListColumns {
    /// `components x lists`.
    pub centroids: View<f32>,
    /// One a list.
    pub biases: View<f32>,
    /// Codes and int8 copies of the centroids.
    pub shortlist: Option<View<u8>>,
    /// First block of each list plus one.
    pub heads: View<u32>,
    /// Codes of the blocks of each chunk.
    pub codes: Views,
    /// Live words, next blocks and rows of each chunk.
    pub links: Views,
}

/// Where a search writes: `queries * keep` elements each, `counts` one a query.
#[napi(object, object_to_js = false)]
pub struct Hits {
    /// `segment * 65536 + slot`, counted over the segments passed.
    pub rows: View<u32>,
    /// Generation of each row when it was scored: even.
    pub generations: View<u16>,
    /// Final scores, higher is nearer.
    pub scores: View<f32>,
    /// First-stage scores.
    pub estimates: View<f32>,
    /// Hits written for each query, at most `keep`.
    pub counts: View<u32>,
}

/// The arrays of a search, as JavaScript passed them.
pub struct Arrays<'a> {
    /// What is searched.
    pub columns: &'a Columns,
    /// Queries, `dimensions` apart.
    pub queries: View<f32>,
    /// Words that cancel searches.
    pub control: View<i32>,
    /// What is written.
    pub hits: &'a Hits,
    /// What rows must pass.
    pub filter: Option<&'a Filter>,
}

/// Whether the search was cancelled: then every count is 0.
pub fn search(plan: &SearchPlan, arrays: &Arrays) -> Result<bool> {
    let queries = bounds::check(plan, arrays)?;
    let Columns { rows, codes, .. } = arrays.columns;
    let filter = arrays.filter.map(|filter| Program::new(filter, rows, plan.to_block as usize)).transpose()?;
    let graph = arrays.columns.graph.as_ref().filter(|_| plan.mode == HNSW);
    let graph = graph.map(|graph| Graph::new(&plan.layout(), graph, rows)).transpose()?;
    let segments: Vec<Segment> =
        rows.iter().zip(codes.iter()).map(|(rows, codes)| Segment::new(plan, *rows, *codes)).collect();
    let cancel = Cancel::new(arrays.control.ptr().wrapping_add(plan.cancel as usize));
    let source = Source { segments: &segments, filter: filter.as_ref() };
    // SAFETY: `check` found every array long enough for the plan.
    let found = unsafe { hits(plan, arrays, queries, source, graph.as_ref(), &cancel) };
    let cancelled = found.is_none();
    let found = found.unwrap_or_else(|| (0..queries).map(|_| Vec::new()).collect());
    for (i, found) in found.iter().enumerate() {
        // SAFETY: as above; `i < queries`, and at most `keep` hits are written.
        unsafe { write(plan, arrays.hits, i, found) };
    }
    Ok(cancelled)
}

/// The hits of each query, best first; `None` when cancelled.
///
/// # Safety
/// `bounds::check` accepted the plan and the arrays, and counted the queries.
unsafe fn hits(
    plan: &SearchPlan,
    arrays: &Arrays,
    queries: usize,
    source: Source,
    graph: Option<&Graph>,
    cancel: &Cancel,
) -> Option<Vec<Vec<Hit>>> {
    let d = plan.dimensions as usize;
    let candidates = bounds::candidates(plan);
    let seed = plan.seed();
    // SAFETY: the caller's promise, here and below.
    unsafe {
        let vectors = query::prepared(plan, arrays.queries);
        let codebook = Codebook::of(plan, arrays.columns.encoder);
        let scored = plan.mode == EXACT || plan.rerank > 0;
        let query::ProductQueries { adc, tables, coded } =
            if plan.scans_products() { query::products(plan, &vectors, codebook) } else { Default::default() };
        let scorer = scored.then(|| match plan.precision {
            NONE => Scorer::products(plan, tables),
            _ => Scorer::new(plan, &vectors),
        });
        let encoder = query::Encoder::new(arrays.columns.encoder, d);
        let mask = match source.filter {
            Some(filter) => Some(Mask::new(plan, source.segments, filter, cancel)?),
            None => None,
        };
        let area = Area { plan, segments: source.segments, mask: mask.as_ref() };
        let lists = arrays.columns.lists.as_ref().filter(|_| plan.mode == IVF).map(|lists| Lists::new(plan, lists));
        let lists = lists.as_ref();
        let blocks_ns = mask.as_ref().map_or(0, Mask::blocks_ns);
        let lists_ns = match (lists, &mask) {
            (Some(lists), Some(mask)) => lists.expected_ns(plan, mask),
            _ => usize::MAX,
        };
        // Under a filter all codes may take less time.
        let reached = lists.filter(|_| mask.is_none() || lists_ns < blocks_ns);
        let is_short = |scorer: &Scorer| {
            let scan_ns = blocks_ns.min(lists_ns);
            mask.as_ref().is_some_and(|mask| mask.is_short(plan.rerank as usize, scorer.row_bytes(), scan_ns))
        };
        let exhaustive = plan.mode == EXACT || scorer.as_ref().is_some_and(is_short);
        let walked = match (graph, &scorer) {
            (Some(graph), Some(scorer)) if !exhaustive && walk::is_open(area) => {
                Some(walk::candidates(area, graph, scorer, &vectors, cancel)?)
            }
            _ => None,
        };
        let found = match walked {
            Some(found) => found,
            None => {
                let new_sinks =
                    || -> Vec<Reservoir> { (0..queries).map(|_| Reservoir::new(candidates).above(seed)).collect() };
                let mut sinks = new_sinks();
                match (plan.mode, &scorer) {
                    (_, Some(scorer)) if exhaustive => scan::exact(area, scorer, &mut sinks, cancel)?,
                    (PQ | IVF, _) if plan.scans_products() => {
                        let kernel = adc::pick(plan.subspace_bits);
                        let listed = Listed { queries: &adc, kernel, coded: &coded, flat: &[] };
                        if !in_lists(area, reached, &listed, &mut sinks, cancel)? {
                            sinks = new_sinks();
                            scan::products(area, &adc, &mut sinks, cancel)?;
                        }
                    }
                    (FLAT | IVF | HNSW, _) => {
                        let (flat, projected) = query::flat(plan, &vectors, encoder);
                        let kernel = fastscan::pick();
                        let listed = Listed { queries: &flat, kernel, coded: &projected, flat: &flat };
                        if !in_lists(area, reached, &listed, &mut sinks, cancel)? {
                            sinks = new_sinks();
                            scan::flat(area, &flat, &mut sinks, cancel)?;
                        }
                    }
                    (BINARY, _) => scan::binary(area, &query::binary(plan, &vectors, encoder), &mut sinks, cancel)?,
                    _ => {}
                }
                sinks.into_iter().map(Reservoir::into_best).collect()
            }
        };
        let finish = |(i, candidates): (usize, Vec<(f32, u32)>)| {
            let depth = Depth { first: plan.rerank.max(1) as usize, wanted: plan.wanted() };
            let mut found = match &scorer {
                Some(scorer) if plan.deepest.is_some() && !exhaustive => {
                    rescore::scored_deeply(source, scorer, i, candidates, depth, cancel)?
                }
                Some(scorer) => rescore::scored(source, scorer, i, candidates, exhaustive, plan.most(), cancel)?,
                None => rescore::confirmed(source, candidates),
            };
            if let Some(least) = plan.min_score {
                found.retain(|hit| f64::from(hit.score_and_row().0) >= least);
            }
            match plan.fetch {
                Some(fetch) if fetch > 0 => diversity::diverse(plan, source.segments, found, cancel),
                _ => {
                    found.sort_unstable_by_key(rescore::best_first);
                    Some(found)
                }
            }
        };
        found.into_iter().enumerate().map(finish).collect()
    }
}

/// Scans the lists that the queries visit, where there are any: false where all codes are to be scanned instead, as when it
/// took longer under a filter. `None` when cancelled.
///
/// # Safety
/// As for [`Lists::scan`]; the lists are those of the plan.
unsafe fn in_lists<Q>(
    Area { plan, mask, .. }: Area,
    lists: Option<&Lists>,
    listed: &Listed<Q>,
    sinks: &mut [Reservoir],
    cancel: &Cancel,
) -> Option<bool> {
    // SAFETY: the caller's promise.
    unsafe {
        match (lists, mask) {
            (Some(lists), None) => lists.scan(plan, listed, sinks, cancel).map(|()| true),
            (Some(lists), Some(mask)) => lists.scan_passing(plan, listed, mask, sinks, cancel),
            _ => Some(false),
        }
    }
}

/// Writes the best `keep` of `found` as the hits of query `i`.
///
/// # Safety
/// The arrays of `hits` have room for query `i`.
unsafe fn write(plan: &SearchPlan, hits: &Hits, i: usize, found: &[Hit]) {
    let keep = plan.keep as usize;
    for (at, hit) in (i * keep..).zip(found.iter().take(keep)) {
        let (score, row) = hit.score_and_row();
        // SAFETY: `at < (i + 1) * keep`.
        unsafe {
            hits.rows.ptr().add(at).write(row);
            hits.generations.ptr().add(at).write(hit.generation);
            hits.scores.ptr().add(at).write(score);
            hits.estimates.ptr().add(at).write(hit.estimate);
        }
    }
    // SAFETY: one count a query.
    unsafe { hits.counts.ptr().add(i).write(found.len().min(keep) as u32) };
}
