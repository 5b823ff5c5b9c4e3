//! The only file JavaScript can see: check the shapes, call, hand back flat numbers.

mod checksum;
mod codebook;
mod coder;
mod columns;
mod dispatch;
mod encoder;
mod error;
mod filter;
mod graph;
mod held;
mod kernels;
mod lists;
mod name;
mod norm;
mod packed;
mod pages;
mod plan;
mod products;
mod query;
mod rows;
mod search;
mod select;
mod spectral;
mod view;
mod views;

use dispatch::Isa;
use error::{NativeCode, Result, refuse, require};
use filter::Filter;
use graph::Graph;
use held::Held;
use name::Name;
use napi::bindgen_prelude::{AsyncTask, External};
use napi_derive::napi;
use plan::{GraphLayout, SearchPlan, SegmentLayout};
use search::{Arrays, Cancel, Columns, Hits};
use view::View;
use views::Views;

/// Instruction sets of this machine, best first.
#[napi(catch_unwind)]
pub fn isas() -> Vec<&'static str> {
    Isa::ALL.into_iter().filter(|isa| isa.available()).map(Isa::name).collect()
}

/// The instruction set in force.
#[napi(catch_unwind)]
pub fn active_isa() -> &'static str {
    dispatch::active().name()
}

/// Puts an instruction set in force for the whole process.
#[napi(catch_unwind)]
pub fn use_isa(name: Name) -> Result<()> {
    dispatch::use_isa(name.as_str())
}

/// Bytes to skip so that `view` starts on a multiple of `alignment`, a power of two.
#[napi(catch_unwind, ts_args_type = "view: Uint8Array, alignment: number")]
pub fn alignment_pad(view: View<u8>, alignment: u32) -> Result<u32> {
    require(alignment.is_power_of_two(), "an alignment is a power of two")?;
    Ok(view.ptr().addr().wrapping_neg() as u32 & (alignment - 1))
}

/// The CRC-32C of a view.
#[napi(catch_unwind, js_name = "crc32c")]
pub fn crc32c(view: View<u8>) -> u32 {
    checksum::of(view)
}

/// The CRC-32C of each block of a view, the last one shorter, into `out`.
#[napi(catch_unwind, js_name = "crc32cBlocks")]
pub fn crc32c_blocks(view: View<u8>, block_bytes: u32, out: View<u32>) -> Result<()> {
    checksum::of_blocks(view, block_bytes, out)
}

/// Compares those checksums with `expected`, on the pool where the memory is shared; the first block that differs, or -1.
#[napi(catch_unwind)]
pub fn verify_blocks(
    view: Held<u8>,
    block_bytes: u32,
    expected: View<u32>,
) -> Result<AsyncTask<checksum::Verification>> {
    checksum::Verification::new(view, block_bytes, expected).map(AsyncTask::new)
}

/// The first slot that an image says something wrong of, or -1.
#[napi(catch_unwind)]
pub fn check_rows(
    live: View<i32>,
    addresses: View<u32>,
    packed: View<u32>,
    rows: u32,
    from: u32,
    to: u32,
) -> Result<i64> {
    packed::check_rows(live, addresses, packed, [rows, from, to])
}

/// Keys in a part of an index, or -1 when one names no row.
#[napi(catch_unwind)]
pub fn count_keys(keys: View<u32>, rows: u32, from: u32, to: u32) -> Result<i64> {
    packed::count_keys(keys, [rows, from, to])
}

/// `c[m x n] = a[m x k] b[k x n]`, with the same bits everywhere.
#[napi(catch_unwind)]
pub fn matmul(a: View<f32>, b: View<f32>, c: View<f32>, m: u32, k: u32, n: u32) -> Result<()> {
    let [m, k, n] = [m, k, n].map(|size| size as usize);
    let lengths = [(a.len(), m, k), (b.len(), k, n), (c.len(), m, n)];
    let fit = lengths.into_iter().all(|(len, rows, columns)| rows.checked_mul(columns) == Some(len));
    require(fit, "the arrays are not m x k, k x n and m x n")?;
    let apart = |x: View<f32>| {
        let (from, c_from) = (x.ptr().addr(), c.ptr().addr());
        from + 4 * x.len() <= c_from || c_from + 4 * c.len() <= from
    };
    require(apart(a) && apart(b), "c overlaps a or b")?;
    if c.len() == 0 {
        // One of the sizes is 0, and the other may be anything: rows without columns are not worth counting.
        return Ok(());
    }
    // SAFETY: the lengths are those of the shapes and `c` lies apart, both checked above.
    unsafe { kernels::matmul::matmul()(a.ptr(), b.ptr(), c.ptr(), m, k, n) };
    Ok(())
}

/// What the spectrum of a tensor of `rows x columns x layers x channels` says of it, into `out`.
#[napi(catch_unwind)]
pub fn spectral_features(
    data: View<f32>,
    rows: u32,
    columns: u32,
    layers: u32,
    channels: u32,
    out: View<f32>,
) -> Result<()> {
    spectral::features(data, [rows, columns, layers, channels], out)
}

/// -1, or `row * 8 + reason` of the first vector that is not finite, not zero and within `limit`.
#[napi(catch_unwind)]
pub fn check_vectors(vectors: View<f32>, dimensions: u32, limit: f64) -> Result<i64> {
    rows::check_vectors(vectors, dimensions, limit)
}

/// Writes vectors into slots of one segment: their column, their codes and their generations.
#[napi(catch_unwind)]
pub fn write_rows(
    layout: SegmentLayout,
    vectors: View<f32>,
    slots: View<u32>,
    encoder: View<f32>,
    rows: View<u8>,
    codes: View<u8>,
) -> Result<()> {
    rows::write_rows(&layout, vectors, slots, encoder, rows, codes)
}

/// Encodes stored vectors of slots `[from, to)` of one segment into another codes buffer.
#[napi(catch_unwind)]
pub fn encode_stored(
    layout: SegmentLayout,
    from: u32,
    to: u32,
    encoder: View<f32>,
    rows: View<u8>,
    codes: View<u8>,
) -> Result<()> {
    rows::encode_stored(&layout, from, to, encoder, rows, codes)
}

/// The list of each slot of one segment, by its code.
#[napi(catch_unwind)]
pub fn assign_lists(
    layout: SegmentLayout,
    slots: View<u32>,
    encoder: View<f32>,
    codes: View<u8>,
    centroids: View<f32>,
    half_norms: View<f32>,
    out: View<u32>,
) -> Result<()> {
    lists::assign(&layout, slots, encoder, codes, centroids, half_norms, out)
}

/// Copies stored vectors of slots of one segment into `out`.
#[napi(catch_unwind)]
pub fn read_vectors(layout: SegmentLayout, slots: View<u32>, rows: View<u8>, out: View<f32>) -> Result<()> {
    rows::read_vectors(&layout, slots, rows, out)
}

/// Columns as searches take them: where their arrays lie, read once and not for every search. JavaScript keeps the arrays
/// as they are for as long as it searches them.
#[napi(catch_unwind)]
pub fn locate_columns(columns: Columns) -> External<Columns> {
    External::new(columns)
}

/// Searches the blocks of the plan for every query, among the rows that pass the filter; 0 when done, 1 when cancelled.
#[napi(catch_unwind, js_name = "searchPacked")]
pub fn search(
    plan: SearchPlan,
    columns: &External<Columns>,
    queries: View<f32>,
    control: View<i32>,
    hits: Hits,
    filter: Option<Filter>,
) -> Result<u32> {
    let arrays = Arrays { columns, queries, control, hits: &hits, filter: filter.as_ref() };
    search::search(&plan, &arrays).map(u32::from)
}

/// Writes the live rows that pass a filter, a word of two halves a block, and returns how many they are.
#[napi(catch_unwind)]
pub fn filter_rows(live_offset: u32, rows: Views, filter: Filter, words: View<u32>) -> Result<u32> {
    filter::filter_rows(live_offset, &rows, &filter, words)
}

/// Reads every byte once and returns a digest.
#[napi(catch_unwind)]
pub fn stream_bytes(view: View<u8>) -> u32 {
    // SAFETY: the view is readable for its length, and `pick` returns what the CPU has.
    unsafe { kernels::stream::pick()(view.ptr(), view.len()) }
}

/// Asks the kernel to back the memory with huge pages, where the system can.
#[napi(catch_unwind)]
pub fn advise_huge_pages(view: View<u8>) {
    pages::advise_huge(view.ptr(), view.len());
}

/// Gives memory back to the system, where it takes it: its content is lost from here on.
#[napi(catch_unwind)]
pub fn release_pages(view: View<u8>) {
    pages::release(view.ptr(), view.len());
}

/// Upper links that the rows of a segment have room for in a graph.
#[napi(catch_unwind, namespace = "graph")]
pub fn upper_links(m: u32, seed: u32, segment: u32) -> Result<u32> {
    graph::nodes::upper_links(m, seed, segment)
}

/// Writes what the rows of a segment are in every graph of the seed, into a buffer of zeros.
#[napi(catch_unwind, namespace = "graph")]
pub fn prepare(layout: GraphLayout, seed: u32, segment: u32, part: View<u8>) -> Result<()> {
    graph::nodes::prepare(&layout, seed, segment, part)
}

/// Links rows; returns how many were dealt with before `control[cancel]` became non-zero.
#[napi(catch_unwind, namespace = "graph")]
pub fn insert(
    layout: SegmentLayout,
    columns: Columns,
    rows: View<u32>,
    ef_construction: u32,
    control: View<i32>,
    cancel: u32,
) -> Result<u32> {
    let (graph, stop) = linking(&layout, &columns, control, cancel)?;
    // SAFETY: `i` is below the length of the view.
    let rows = (0..rows.len()).map(|i| unsafe { rows.ptr().add(i).read() });
    // SAFETY: the caller holds a claim and gave each row to one call.
    Ok(unsafe { graph.insert(rows, ef_construction.max(1) as usize, stop) } as u32)
}

/// Replaces links of live rows in `[from, to)` to rows that are not live; the row to go on from.
#[napi(catch_unwind, namespace = "graph")]
pub fn repair(
    layout: SegmentLayout,
    columns: Columns,
    from: u32,
    to: u32,
    ef_construction: u32,
    control: View<i32>,
    cancel: u32,
) -> Result<u32> {
    let (graph, stop) = linking(&layout, &columns, control, cancel)?;
    // SAFETY: as above.
    Ok(unsafe { graph.repair(from, to, ef_construction.max(1) as usize, stop) })
}

/// Copies the vectors of the slots of a segment that `linked` has a bit for, and marks them.
#[napi(catch_unwind, namespace = "graph")]
pub fn copy(layout: SegmentLayout, columns: Columns, segment: u32, linked: View<u8>) -> Result<()> {
    let graph = columns.graph.as_ref().ok_or_else(|| refuse(NativeCode::Layout, "there is no graph"))?;
    // SAFETY: the caller lets nobody write rows meanwhile.
    unsafe { Graph::new(&layout, graph, &columns.rows)?.copy_linked(segment, linked) }
}

/// The graph of a call that changes it, and whether the call was cancelled.
fn linking(
    layout: &SegmentLayout,
    columns: &Columns,
    control: View<i32>,
    cancel: u32,
) -> Result<(Graph, impl Fn() -> bool + use<>)> {
    require((cancel as usize) < control.len(), "cancel is outside control")?;
    let graph = columns.graph.as_ref().ok_or_else(|| refuse(NativeCode::Layout, "there is no graph"))?;
    let cancel = Cancel::new(control.ptr().wrapping_add(cancel as usize));
    let graph = Graph::new(layout, graph, &columns.rows)?;
    require(graph.is_apart(), "columns of the graph overlap")?;
    // SAFETY: the word is inside `control`.
    Ok((graph, move || unsafe { cancel.check() }.is_none()))
}
