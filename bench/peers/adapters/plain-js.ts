/** Loops in JavaScript over typed arrays: what a peer has to be better than. */
import { codeScanner } from "../hamming.ts"
import { readMatrix, writeMatrix } from "../matrix-file.ts"
import { type Adapter, codes, floats, type Matrix } from "../peer.ts"

export const adapter: Adapter = {
  version: process.version,
  configurations: [
    { name: "loop over f32", task: "exact" },
    { name: "loop over bits", task: "hamming" }
  ],
  build: (_, base, folder) => ({ threads: 0, save: () => writeMatrix(folder, base) }),
  open: ({ task }, folder, { width }) => {
    const base = readMatrix(folder, width, task === "hamming" ? "u8" : "f32")
    if (task === "hamming") {
      const scan = codeScanner(base)
      return { search: (query, k) => scan(codes({ values: query }), k) }
    }
    return { search: (query, k) => nearest(base, floats({ values: query }), k) }
  }
}

/** Rows of the `k` largest inner products, best first. Four sums at a time, which V8 keeps in registers. */
const nearest = (base: Matrix, query: Float32Array, k: number): Int32Array => {
  const vectors = floats(base)
  const { rows, width } = base
  const found = new Int32Array(k)
  const scores = new Float64Array(k).fill(Number.NEGATIVE_INFINITY)
  const whole = width - (width % 4)
  for (let row = 0, at = 0; row < rows; row++, at += width) {
    let [a, b, c, d] = [0, 0, 0, 0]
    for (let i = 0; i < whole; i += 4) {
      a += vectors[at + i]! * query[i]!
      b += vectors[at + i + 1]! * query[i + 1]!
      c += vectors[at + i + 2]! * query[i + 2]!
      d += vectors[at + i + 3]! * query[i + 3]!
    }
    for (let i = whole; i < width; i++) a += vectors[at + i]! * query[i]!
    const score = a + b + c + d
    if (score <= scores[k - 1]!) continue
    let place = k - 1
    for (; place > 0 && scores[place - 1]! < score; place--) {
      scores[place] = scores[place - 1]!
      found[place] = found[place - 1]!
    }
    scores[place] = score
    found[place] = row
  }
  return found
}
