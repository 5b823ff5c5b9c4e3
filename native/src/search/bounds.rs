//! Everything that memory safety needs of a search, checked once before the first read.

use super::{Arrays, Columns, ListColumns, shortlist};
use crate::codebook::Codebook;
use crate::columns::{ALIGNMENT, column};
use crate::error::{Result, require};
use crate::plan::*;
use crate::view::View;

/// Most hits or candidates of a query.
const MAX_KEEP: u32 = 65_536;
/// Most lists: their products with a query are held at once.
const MAX_LISTS: usize = 1 << 20;

/// Most candidates of all queries: there is room for them, twice, before the first is found.
const MAX_CANDIDATES: usize = 1 << 27;
/// Most entries in the tables of product codes of all queries.
const MAX_TABLES: usize = 1 << 30;

/// Candidates of a query: no more than there are slots, so that a small store asks for little memory whatever the
/// caller wants.
pub fn candidates(plan: &SearchPlan) -> usize {
    let slots = (plan.to_block - plan.from_block) as usize * BLOCK;
    let wanted = plan.keep.max(plan.rerank).max(plan.fetch.unwrap_or(0)).max(plan.deepest.unwrap_or(0));
    (wanted as usize).min(slots).max(1)
}

/// Number of queries, when every array is long enough for the plan.
pub fn check(plan: &SearchPlan, arrays: &Arrays) -> Result<usize> {
    let d = plan.dimensions as usize;
    require((1..=MAX_DIMENSIONS).contains(&d), "dimensions are not in 1..=8192")?;
    require(plan.metric <= L2 && plan.precision <= NONE, "unknown metric or precision")?;
    require(matches!(plan.mode, EXACT | FLAT | BINARY | IVF | HNSW | PQ), "unknown mode")?;
    // Lists are of either kind.
    let mine = matches!(plan.mode, EXACT | IVF) || (plan.mode == PQ) == (plan.subspaces > 0);
    require(mine, "the codes are not those of the mode")?;
    let walks = plan.mode == HNSW;
    require(!walks || arrays.columns.graph.is_some() && plan.rerank > 0, "there is no graph to walk, or no rerank")?;
    require(!walks || plan.ef_search.is_some_and(|ef| (1..=MAX_KEEP).contains(&ef)), "ef is out of range")?;
    require((1..=MAX_KEEP).contains(&plan.keep) && plan.rerank <= MAX_KEEP, "keep or rerank is out of range")?;
    require(plan.wanted.is_none_or(|wanted| (1..=MAX_KEEP).contains(&wanted)), "wanted is out of range")?;
    require(plan.deepest.is_none_or(|most| most <= MAX_KEEP && plan.rerank > 0), "deepest is out of range")?;
    let scored = plan.mode == EXACT || plan.subspaces == 0 && plan.rerank > 0;
    require(plan.precision != NONE || !scored, "no vectors are stored to score")?;
    let fetch = plan.fetch.unwrap_or(0);
    require(fetch <= MAX_KEEP && (fetch == 0 || plan.precision != NONE), "no vectors are stored to compare")?;
    require(plan.lambda.is_none_or(|lambda| (0.0..=1.0).contains(&lambda)), "lambda is not in 0..=1")?;
    segments(plan, arrays)?;
    if plan.mode == IVF {
        let columns = arrays.columns.lists.as_ref();
        require(columns.is_some_and(|columns| lists(plan, columns)), "no lists, or lists that are not whole")?;
    }
    require((plan.cancel as usize) < arrays.control.len(), "cancel is outside control")?;
    let encoder = arrays.columns.encoder;
    match plan.mode {
        EXACT => {}
        _ if plan.scans_products() => Codebook::of(plan, encoder).check(encoder)?,
        _ => require(encoder.len() == d + d * CODE_BITS, "encoder is not a mean and a projection")?,
    }
    require(arrays.queries.len().is_multiple_of(d), "queries are not whole vectors")?;
    let queries = arrays.queries.len() / d;
    require(queries.saturating_mul(candidates(plan)) <= MAX_CANDIDATES, "too many candidates of all queries")?;
    let tables = plan.subspaces as usize * centroids(plan.subspace_bits);
    require(!plan.scans_products() || queries.saturating_mul(tables) <= MAX_TABLES, "too many tables of all queries")?;
    let hits = arrays.hits;
    let room = queries.saturating_mul(plan.keep as usize);
    let shortest = hits.rows.len().min(hits.generations.len()).min(hits.scores.len()).min(hits.estimates.len());
    require(room <= shortest && queries <= hits.counts.len(), "hits have no room for every query")?;
    Ok(queries)
}

fn segments(plan: &SearchPlan, arrays: &Arrays) -> Result<()> {
    let Columns { rows, codes, .. } = arrays.columns;
    require(rows.len() == codes.len(), "rows and codes are not of the same segments")?;
    let (from, to) = (plan.from_block as usize, plan.to_block as usize);
    require(from <= to && to <= rows.len() * BLOCKS, "blocks outside the segments")?;
    require(plan.factor_scale.is_finite() && plan.factor_scale > 0.0, "factor scale is not positive")?;
    let columns = [
        (plan.live_offset, BLOCKS * 8),
        (plan.generation_offset, SLOTS * 2),
        (plan.scales_offset, SLOTS * scale_bytes(plan.precision)),
        (plan.vectors_offset, SLOTS * vector_bytes(plan.precision, plan.dimensions)),
    ];
    for view in rows.iter() {
        for (offset, bytes) in columns {
            column(*view, offset, bytes)?;
        }
    }
    let bytes = if plan.mode == EXACT { 0 } else { plan.codes_bytes() };
    require(codes.iter().all(|view| holds(*view, bytes)), "a column outside the codes")
}

/// Whether every array of the lists is as long as the others say. Heads, next blocks and rows may be any numbers.
fn lists(plan: &SearchPlan, lists: &ListColumns) -> bool {
    let count = lists.biases.len();
    let chunks = lists.codes.len();
    (1..=MAX_LISTS).contains(&count)
        && lists.centroids.len() == count * plan.layout().components()
        && lists.heads.len() == count
        && lists.links.len() == chunks
        && plan.nprobe > 0
        && lists.shortlist.is_none_or(|view| holds(view, shortlist::bytes(count)))
        && lists.codes.iter().all(|view| holds(*view, plan.codes_bytes()))
        && lists.links.iter().all(|view| holds(*view, LINKS_BYTES))
}

/// Whether an aligned view has so many bytes.
fn holds(view: View<u8>, bytes: usize) -> bool {
    view.len() >= bytes && (bytes == 0 || view.ptr().addr().is_multiple_of(ALIGNMENT))
}
