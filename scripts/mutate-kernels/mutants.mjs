/**
 * The mutants: one small fault each, and the test that must notice it.
 *
 * `from` occurs once in the file. The test is one of `test/property/kernels`, by its file and the start of its name; a
 * module of native tests where the fault shows only in values that random data never holds, or in bits that a result
 * rounds away.
 */

const scalar = (file, fault, from, to, test, name) => ({
  file: `src/core/kernels/${file}`,
  fault,
  from,
  to,
  test: `test/property/kernels/${test}.property.test.ts`,
  name
})

/** What `native-rows.property.test.ts` names; searches are in a file of their own. */
const ROWS = ["matmul", "writeRows", "crc32c"]

/** `isa` is the instruction set whose variant is broken, where it is one. */
const native = (file, fault, from, to, name, isa) => ({
  file: `native/src/${file}`,
  fault,
  from,
  to,
  test: `test/property/kernels/native-${ROWS.includes(name) ? "rows" : "search"}.property.test.ts`,
  name,
  isa
})

const inRust = (file, fault, from, to, name, isa) => ({ file: `native/src/${file}`, fault, from, to, name, isa })

export const mutants = [
  scalar("crc32c.ts", "wrong shift", "(head >>> 8) & 0xff", "(head >>> 7) & 0xff", "crc32c", "any bytes"),
  scalar(
    "crc32c.ts",
    "state lost between slices",
    "state = extend(state, view, at, until)",
    "state = extend(EMPTY, view, at, until)",
    "crc32c",
    "verification leaves"
  ),
  scalar(
    "dot.ts",
    "last component left out",
    "i < dimensions; i++) a +=",
    "i + 1 < dimensions; i++) a +=",
    "search",
    "exact scores of f32"
  ),
  scalar(
    "l2.ts",
    "odd component left out",
    "if (i < dimensions) {",
    "if (i > dimensions) {",
    "search",
    "exact scores of f32"
  ),
  scalar(
    "pq.ts",
    "nibbles swapped",
    "(codes[at + BLOCK * (s >> 1)]! >>> (4 * (s & 1))) & 15",
    "(codes[at + BLOCK * (s >> 1)]! >>> (4 - 4 * (s & 1))) & 15",
    "products",
    "a code names"
  ),
  scalar(
    "pq.ts",
    "lengths of centroids forgotten",
    "products[from + c]! - parameters[half + c]!",
    "products[from + c]!",
    "products",
    "a code names"
  ),
  scalar(
    "pq.ts",
    "rotated back the wrong way",
    "sum + x * parameters[row + j]!",
    "sum - x * parameters[row + j]!",
    "products",
    "codes after a rotation"
  ),
  scalar(
    "adc.ts",
    "the mean added twice",
    "return metric === METRIC.dot\n    ? ofMean",
    "return metric === METRIC.dot\n    ? 2 * ofMean",
    "products",
    "estimates are"
  ),
  native(
    "kernels/adc/avx512.rs",
    "halves of a table swapped",
    "_mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high)",
    "_mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), high, low)",
    "pq search without rerank",
    "avx512vpopcntdq"
  ),
  native(
    "kernels/adc/avx2.rs",
    "a row of nibbles left out",
    "if g + 1 < query.rows {",
    "if g + 2 < query.rows {",
    "pq search without rerank",
    "avx2"
  ),
  native(
    "kernels/adc.rs",
    "a bound above the threshold",
    "- lo) / step - slack) as u16",
    "- lo) / step + slack) as u16",
    "pq search without rerank",
    "scalar"
  ),
  native(
    "products.rs",
    "rotated rows in one place",
    "&mut self.residuals, row, |i| rotated",
    "&mut self.residuals, 0, |i| rotated",
    "writeRows",
    "scalar"
  ),
  native(
    "products.rs",
    "nibbles of a code overwritten",
    "if shift == 0 { nearest as u8 }",
    "if shift < 8 { nearest as u8 }",
    "writeRows",
    "scalar"
  ),
  scalar("f16.ts", "ties away from even", "0x0fff + ((magnitude", "0x1000 + ((magnitude", "f16", "between two halves"),
  scalar("f16.ts", "subnormals halved", "fraction * 2 ** -24", "fraction * 2 ** -25", "f16", "known values"),
  scalar("fastscan.ts", "wrong nibble", "odd + (byte >> 4)", "odd + (byte & 15)", "codes", "fast-scan sums"),
  scalar("fastscan.ts", "flipped sign", "sums[v]! + flip", "sums[v]! - flip", "codes", "fast-scan sums"),
  scalar("hamming.ts", "every other bit", "rest >>= 1", "rest >>= 2", "codes", "Hamming distance"),
  scalar(
    "int8.ts",
    "low byte subtracted",
    "HIGH * highSum + lowSum",
    "HIGH * highSum - lowSum",
    "search",
    "int8 scores"
  ),
  scalar(
    "matmul.ts",
    "product not rounded",
    "fround(c5 + fround(x * b[at + 5]!))",
    "fround(c5 + x * b[at + 5]!)",
    "codes",
    "a product rounds"
  ),
  scalar("norm.ts", "eight lanes for sixteen", "i & (LANES - 1)", "i & (LANES / 2 - 1)", "codes", "sixteen lanes"),
  scalar(
    "query.ts",
    "sign of the l2 bias",
    "bias: isL2 ? -fround(",
    "bias: isL2 ? fround(",
    "search",
    "flat estimates"
  ),
  scalar(
    "encode.ts",
    "factor without its scale",
    "from) / layout.factorScale)",
    "from) / 1)",
    "search",
    "flat estimates"
  ),
  scalar(
    "encode.ts",
    "mean left in",
    "vectors[from + i]! - encoder[i]!",
    "vectors[from + i]!",
    "search",
    "binary estimates"
  ),
  scalar("encode.ts", "zero taken for negative", "]! >= 0 ? 1 << bit", "]! > 0 ? 1 << bit", "native-rows", "writeRows"),
  scalar(
    "rows.ts",
    "limit itself refused",
    "if (largest > limit)",
    "if (largest >= limit)",
    "native-rows",
    "checkVectors"
  ),
  scalar(
    "select.ts",
    "ties to the higher row",
    "row < this.#rows[0]!",
    "row > this.#rows[0]!",
    "select",
    "the best rows"
  ),
  scalar(
    "select.ts",
    "one too few sorted",
    "end = size - 1; end > 0;",
    "end = size - 1; end > 1;",
    "select",
    "the best rows"
  ),
  scalar(
    "seqlock.ts",
    "live bit of slot 32",
    "(lane < 32 ? low : high)",
    "(lane <= 32 ? low : high)",
    "native-search",
    "binary search without rerank"
  ),
  scalar(
    "search.ts",
    "ties to the higher row",
    "|| candidates.rows[a]! - candidates.rows[b]!",
    "|| candidates.rows[b]! - candidates.rows[a]!",
    "search",
    "exact scores"
  ),
  scalar(
    "search.ts",
    "cancel word not read",
    "Atomics.load(control, plan.cancel) !== 0",
    "false",
    "native-search",
    "a set cancel word"
  ),
  scalar(
    "seqlock.ts",
    "odd generations trusted",
    "(generation & 1) === 0 &&",
    "",
    "native-search",
    "a row that is being written"
  ),

  native("kernels/crc32c.rs", "third run read twice", "from.add(2 * run)", "from.add(run)", "crc32c"),
  native("kernels/matmul.rs", "blocks of k not joined", "columns, from == 0);", "columns, true);", "matmul"),
  native(
    "kernels/encode.rs",
    "last two lanes not added",
    "for half in [8, 4, 2, 1] {\n        let",
    "for half in [8, 4, 2] {\n        let",
    "writeRows"
  ),
  native("kernels/f16.rs", "ties not to even", "0xfff + (magnitude >> 13 & 1)", "0xfff", "writeRows", "scalar"),
  native(
    "kernels/float.rs",
    "half of the sums dropped",
    "L::sum(L::add(total, rest))",
    "L::sum(total)",
    "exact search of floats"
  ),
  native(
    "kernels/float.rs",
    "eight queries read as one",
    "q.add(query * d), d);\n            out",
    "q, d);\n            out",
    "exact search of floats"
  ),
  native(
    "kernels/int8.rs",
    "mask one short",
    "d - i < 64 { (1u64 << (d - i)) - 1 }",
    "d - i < 64 { (1u64 << (d - i - 1)) - 1 }",
    "exact search of int8",
    "avx512vnni"
  ),
  native(
    "search/scorer.rs",
    "weight of the high byte",
    "(128 * i64::from(hi)",
    "(127 * i64::from(hi)",
    "exact search of int8"
  ),
  native(
    "kernels/hamming/avx512.rs",
    "carry lost",
    "MAJORITY: i32 = 0xe8",
    "MAJORITY: i32 = 0xe0",
    "binary search without rerank",
    "avx512bw"
  ),
  native(
    "kernels/hamming/avx2.rs",
    "halves overlap",
    "u64::from(reach(right)) << 32",
    "u64::from(reach(right)) << 31",
    "binary search without rerank",
    "avx2"
  ),
  native(
    "kernels/fastscan/avx512.rs",
    "wrong lane",
    "(i as u16 % 2) * 32",
    "(i as u16 % 2) * 31",
    "flat search without rerank",
    "avx512bw"
  ),
  native(
    "kernels/fastscan/avx512.rs",
    "nibble not masked",
    "_mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble)",
    "_mm512_srli_epi16::<4>(bytes)",
    "flat search without rerank",
    "avx512bw"
  ),
  native(
    "kernels/fastscan/avx2.rs",
    "wrong shift",
    "_mm256_srli_epi16::<8>(sum)",
    "_mm256_srli_epi16::<7>(sum)",
    "flat search without rerank",
    "avx2"
  ),
  native(
    "select.rs",
    "cut at half",
    "select_nth_unstable_by_key(self.keep - 1,",
    "select_nth_unstable_by_key(self.keep / 2,",
    "flat search without rerank"
  ),
  native("select.rs", "ties to the higher row", "u64::from(!row)", "u64::from(row)", "binary search without rerank"),
  native(
    "search/segment.rs",
    "live bit of another slot",
    ">> (slot % BLOCK) & 1 == 1",
    ">> (slot % BLOCK / 2) & 1 == 1",
    "flat search reranked with floats"
  ),
  native(
    "search/segment.rs",
    "odd generations trusted",
    "(before.is_multiple_of(2) && unchanged",
    "(unchanged",
    "a row that is being written"
  ),
  native(
    "search/rescore.rs",
    "sorted by row",
    "|hit: &Hit| Reverse(hit.entry)",
    "|hit: &Hit| Reverse(hit.entry as u32)",
    "flat search reranked with int8"
  ),

  ...[
    ["slots after the last centroid ranked", "*last >>= count * BLOCK - self.lists;", "*last >>= 0;"],
    ["biases left out", "product as f32 + self.biases.add(at).read()", "product as f32"],
    ["a centroid less a visit", "const A_VISIT: usize = 2;", "const A_VISIT: usize = 1;"]
  ].map(([fault, from, to]) => ({
    file: "native/src/search/shortlist.rs",
    fault: `shortlist: ${fault}`,
    from,
    to,
    test: "test/property/kernels/shortlist.property.test.ts",
    name: "a shortlist leads to the same lists"
  })),

  inRust("kernels/hamming.rs", "a distance of 255 cut off", "(limit < 256.0)", "(limit <= 256.0)", "hamming::tests"),
  inRust(
    "norm.rs",
    "rest in the wrong lanes",
    "(whole..d).zip(lanes.iter_mut())",
    "(whole..d).zip(lanes.iter_mut().rev())",
    "norm::tests"
  ),
  inRust(
    "kernels/quantise.rs",
    "ties away from zero",
    "* inverse).round_ties_even();",
    "* inverse).round();",
    "quantise::tests"
  ),
  inRust("kernels/lanes/avx512.rs", "zero taken for negative", "_CMP_GE_OQ", "_CMP_GT_OQ", "encode::tests", "avx512bw")
]
