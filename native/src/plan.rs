//! Records mirrored from `src/core/kernels/contract.ts`, which owns defaults and bounds; a test
//! compares the field names. Rust checks only what memory safety needs.

use crate::view::View;
use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{ValueType, sys};
use napi_derive::napi;

/// Slots of a segment.
pub const SLOTS: usize = 65_536;
/// Slots of a block.
pub const BLOCK: usize = 64;
/// Blocks of a segment.
pub const BLOCKS: usize = SLOTS / BLOCK;
/// Bits of a code.
pub const CODE_BITS: usize = 256;
/// Bytes of a code.
pub const CODE_BYTES: usize = 32;
/// Bytes of the codes of a block: byte `g` of all 64, for each `g`.
pub const CODE_BLOCK_BYTES: usize = BLOCK * CODE_BYTES;
/// Where the f16 factors start in a codes buffer: after the codes of all blocks.
pub const FACTORS_OFFSET: usize = BLOCKS * CODE_BLOCK_BYTES;
/// Where the f16 squared norms start, when the metric is l2.
pub const NORMS_OFFSET: usize = FACTORS_OFFSET + SLOTS * 2;
/// Largest number of components of a vector.
pub const MAX_DIMENSIONS: usize = 8192;

/// `metric`: inner product of vectors scaled to length 1.
pub const COSINE: u32 = 0;
/// `metric`: inner product.
pub const DOT: u32 = 1;
/// `metric`: squared distance.
pub const L2: u32 = 2;
/// `precision`: 4 bytes a component.
pub const F32: u32 = 0;
/// `precision`: 2 bytes a component.
pub const F16: u32 = 1;
/// `precision`: 1 byte a component and a scale a vector.
pub const INT8: u32 = 2;
/// `precision`: no vectors.
pub const NONE: u32 = 3;
/// `mode`: every vector is scored.
pub const EXACT: u32 = 0;
/// `mode`: codes are scored by look-up tables of the query.
pub const FLAT: u32 = 1;
/// `mode`: codes are scored by their Hamming distance.
pub const BINARY: u32 = 2;
/// `mode`: codes in the lists nearest to the query are scored as by `FLAT` or `PQ`.
pub const IVF: u32 = 3;
/// `mode`: the graph is walked.
pub const HNSW: u32 = 4;
/// `mode`: product codes are scored by look-up tables of the query.
pub const PQ: u32 = 5;

/// Where, in the links of a chunk of list blocks, the next block of each starts.
pub const NEXT_OFFSET: usize = BLOCKS * 8;
/// Where the rows of its slots start.
pub const LISTED_OFFSET: usize = NEXT_OFFSET + BLOCKS * 4;
/// Bytes of the links of a chunk.
pub const LINKS_BYTES: usize = LISTED_OFFSET + SLOTS * 4;
/// Filter operation: no slot.
pub const NOTHING: u32 = 0;
/// Filter operation: f64 from the first constant to the second.
pub const BETWEEN: u32 = 1;
/// Filter operation: f64 that equal one of the constants.
pub const IN64: u32 = 2;
/// Filter operation: u32 that equal one of the constants.
pub const IN32: u32 = 3;
/// Filter operation: u8 that equal one of the constants.
pub const IN8: u32 = 4;
/// Filter operation: the complement of the last word.
pub const NOT: u32 = 5;
/// Filter operation: what the last two words share.
pub const AND: u32 = 6;
/// Filter operation: what either of the last two words has.
pub const OR: u32 = 7;

/// Where the columns of a segment lie.
#[napi(object)]
#[derive(Clone, Copy)]
pub struct SegmentLayout {
    /// Components of a vector.
    pub dimensions: u32,
    /// 0 cosine, 1 dot, 2 l2.
    pub metric: u32,
    /// 0 f32, 1 f16, 2 int8, 3 none.
    pub precision: u32,
    /// Byte offset of the live words.
    pub live_offset: u32,
    /// Byte offset of the generations.
    pub generation_offset: u32,
    /// Byte offset of the int8 scales.
    pub scales_offset: u32,
    /// Byte offset of the vectors.
    pub vectors_offset: u32,
    /// Power of two that factors and norms, and what a codebook is of, are divided by.
    pub factor_scale: f64,
    /// Subspaces of product codes; 0 where codes are 256 signs.
    pub subspaces: u32,
    /// Bits of the number of a centroid, 4 or 8; 0 where codes are signs.
    pub subspace_bits: u32,
    /// Components of a rotated vector, which product codes are of; 0 where they are of vectors as they are.
    pub rotated: u32,
}

impl SegmentLayout {
    /// Components of what a code stands for, in its own coordinates: those of inverted lists.
    pub fn components(&self) -> usize {
        match (self.subspaces, self.rotated) {
            (0, _) => CODE_BITS,
            (_, 0) => self.dimensions as usize,
            (_, rotated) => rotated as usize,
        }
    }
}

/// One search over consecutive blocks, from the numbers that `kernels/packed-plan.ts` makes of it.
#[derive(Clone, Copy)]
pub struct SearchPlan {
    /// Components of a vector.
    pub dimensions: u32,
    /// 0 cosine, 1 dot, 2 l2.
    pub metric: u32,
    /// 0 f32, 1 f16, 2 int8, 3 none.
    pub precision: u32,
    /// Byte offset of the live words.
    pub live_offset: u32,
    /// Byte offset of the generations.
    pub generation_offset: u32,
    /// Byte offset of the int8 scales.
    pub scales_offset: u32,
    /// Byte offset of the vectors.
    pub vectors_offset: u32,
    /// Power of two that factors and norms, and what a codebook is of, are divided by.
    pub factor_scale: f64,
    /// Subspaces of product codes; 0 where codes are 256 signs.
    pub subspaces: u32,
    /// Bits of the number of a centroid, 4 or 8; 0 where codes are signs.
    pub subspace_bits: u32,
    /// Components of a rotated vector, which product codes are of; 0 where they are of vectors as they are.
    pub rotated: u32,
    /// 0 exact, 1 flat, 2 binary, 3 ivf, 4 hnsw, 5 pq.
    pub mode: u32,
    /// Hits to return for each query.
    pub keep: u32,
    /// Rows that a search over lists finds before it visits no more of them, where not the larger of `keep` and `fetch`.
    pub wanted: Option<u32>,
    /// Candidates of the first stage that are scored again.
    pub rerank: u32,
    /// Most candidates that are scored again where more than `rerank` may be near.
    pub deepest: Option<u32>,
    /// Most lists that a query of mode ivf visits.
    pub nprobe: u32,
    /// How far below the best rank that of a visited list may be.
    pub margin: Option<f64>,
    /// First block to scan.
    pub from_block: u32,
    /// Block to stop before.
    pub to_block: u32,
    /// Index of the word that cancels the search.
    pub cancel: u32,
    /// Least final score of a hit.
    pub min_score: Option<f64>,
    /// What first-stage scores must exceed.
    pub seed: Option<f64>,
    /// Best candidates that diverse hits are chosen from.
    pub fetch: Option<u32>,
    /// Weight of relevance against diversity.
    pub lambda: Option<f64>,
    /// Whether diversity is approximated.
    pub fast: Option<bool>,
    /// Nearest rows that a walk over the graph keeps.
    pub ef_search: Option<u32>,
}

impl TypeName for SearchPlan {
    fn type_name() -> &'static str {
        "Float64Array"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for SearchPlan {}

/// Numbers of a packed plan.
const PLAN_NUMBERS: usize = 27;

impl FromNapiValue for SearchPlan {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller's promise, passed on.
        let view = unsafe { View::<f64>::from_napi_value(env, value) }?;
        let wrong = |reason| napi::Error::new(napi::Status::InvalidArg, reason);
        if view.len() != PLAN_NUMBERS {
            return Err(wrong("a plan is not packed"));
        }
        // SAFETY: so many numbers are there.
        let mut numbers = (0..PLAN_NUMBERS).map(|at| unsafe { view.ptr().add(at).read() });
        let mut optional = || numbers.next().filter(|number| !number.is_nan());
        let whole = |number: Option<f64>| match number {
            Some(number) if number as u32 as f64 == number => Ok(number as u32),
            _ => Err(wrong("a number of a plan is not whole")),
        };
        let some = |number: Option<f64>| number.map(|number| whole(Some(number))).transpose();
        Ok(SearchPlan {
            dimensions: whole(optional())?,
            metric: whole(optional())?,
            precision: whole(optional())?,
            live_offset: whole(optional())?,
            generation_offset: whole(optional())?,
            scales_offset: whole(optional())?,
            vectors_offset: whole(optional())?,
            factor_scale: optional().ok_or_else(|| wrong("a plan has no factor scale"))?,
            subspaces: whole(optional())?,
            subspace_bits: whole(optional())?,
            rotated: whole(optional())?,
            mode: whole(optional())?,
            keep: whole(optional())?,
            wanted: some(optional())?,
            rerank: whole(optional())?,
            deepest: some(optional())?,
            nprobe: whole(optional())?,
            margin: optional(),
            from_block: whole(optional())?,
            to_block: whole(optional())?,
            cancel: whole(optional())?,
            min_score: optional(),
            seed: optional(),
            fetch: some(optional())?,
            lambda: optional(),
            fast: optional().map(|fast| fast != 0.0),
            ef_search: some(optional())?,
        })
    }
}

impl SearchPlan {
    /// Hits to return, or those that diverse ones are chosen from.
    pub fn most(&self) -> usize {
        self.keep.max(self.fetch.unwrap_or(0)) as usize
    }

    /// Rows that are looked for.
    pub fn wanted(&self) -> usize {
        self.wanted.map_or(self.most(), |wanted| wanted as usize)
    }

    /// Whether product codes are scanned, or what is in lists of them.
    pub fn scans_products(&self) -> bool {
        self.subspaces > 0 && matches!(self.mode, PQ | IVF)
    }

    /// Bytes of a codes buffer.
    pub fn codes_bytes(&self) -> usize {
        match self.subspaces {
            0 => codes_bytes(self.metric),
            subspaces => SLOTS * product_bytes(subspaces, self.subspace_bits),
        }
    }

    /// What estimates must exceed; minus infinity for nothing.
    pub fn seed(&self) -> f32 {
        self.seed.map_or(f32::NEG_INFINITY, |seed| seed as f32)
    }

    /// The part that says where columns lie.
    pub fn layout(&self) -> SegmentLayout {
        SegmentLayout {
            dimensions: self.dimensions,
            metric: self.metric,
            precision: self.precision,
            live_offset: self.live_offset,
            generation_offset: self.generation_offset,
            scales_offset: self.scales_offset,
            vectors_offset: self.vectors_offset,
            factor_scale: self.factor_scale,
            subspaces: self.subspaces,
            subspace_bits: self.subspace_bits,
            rotated: self.rotated,
        }
    }
}

/// Where the columns of a graph lie in the buffer that it has for each segment.
#[napi(object)]
#[derive(Clone, Copy)]
pub struct GraphLayout {
    /// Links of a node above the lowest level; it has twice as many there.
    pub m: u32,
    /// Byte offset of the bits of linked slots: a u64 a block.
    pub linked_offset: u32,
    /// Byte offset of the node words: a u32 a slot.
    pub nodes_offset: u32,
    /// Byte offset of the places of upper links: a u32 a slot.
    pub places_offset: u32,
    /// Byte offset of the terms of a score: two f32 a slot.
    pub terms_offset: u32,
    /// Byte offset of the links of the lowest level: `2 m` u32 a slot.
    pub links_offset: u32,
    /// Byte offset of the int8 copies of vectors; 0 when the store's own are int8.
    pub copies_offset: u32,
    /// Byte offset of the upper links, to the end of the buffer.
    pub upper_offset: u32,
}

/// Bytes of a stored vector, its scale apart.
pub fn vector_bytes(precision: u32, dimensions: u32) -> usize {
    let component = match precision {
        F32 => 4,
        F16 => 2,
        INT8 => 1,
        _ => 0,
    };
    component * dimensions as usize
}

/// Bytes of the scale of a stored vector.
pub fn scale_bytes(precision: u32) -> usize {
    if precision == INT8 { 4 } else { 0 }
}

/// Centroids of a subspace of product codes whose numbers have so many bits.
pub fn centroids(subspace_bits: u32) -> usize {
    if subspace_bits == 4 { 16 } else { 256 }
}

/// Bytes of a product code.
pub fn product_bytes(subspaces: u32, subspace_bits: u32) -> usize {
    if subspace_bits == 4 { subspaces as usize / 2 } else { subspaces as usize }
}

/// Bytes of a codes buffer of signs: codes, factors and, for l2, norms of all its blocks.
pub fn codes_bytes(metric: u32) -> usize {
    NORMS_OFFSET + if metric == L2 { SLOTS * 2 } else { 0 }
}
