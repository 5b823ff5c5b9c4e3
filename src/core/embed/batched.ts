/** What embedders that others run have in common: clean texts go out in batches, checked unit vectors come back. */
import { Cancelled, EmbedderRequestFailed, EmptyEmbedding, InvalidParameter, type SabineError } from "../errors.ts"
import { normalForm } from "../normal-form.ts"
import { allSettled } from "../settled.ts"
import { forEachSliced } from "../slice.ts"
import { MAX_DIMENSIONS } from "../store/layout.ts"
import { roomInTurn } from "../turn.ts"

/** One vector a text, in any form whose components are numbers. */
type EmbedBatch = (texts: Array<string>, signal: AbortSignal) => Promise<ReadonlyArray<ArrayLike<number>>>

interface Batching {
  /** Identity of the embedder, for its errors. */
  readonly embedder: string
  /** Components of a vector; those of the first one that comes back when only the model knows. */
  readonly dimensions: number | undefined
  /** Texts of one request. */
  readonly batchSize: number
  /** Requests at a time. */
  readonly concurrency: number
  /** Put before every text. */
  readonly prefix?: string
  /** The error for an answer that is not one vector a text; by default that of a server. */
  readonly invalid?: (embedder: string, detail: string) => SabineError
}

export const DEFAULT_BATCH = 100

/** Something that a model can tell from nothing. */
const SUBSTANCE = /[\p{L}\p{N}\p{P}\p{S}]/u

/** What a model sees of a text: composed, and without halves of characters, so that one text has one vector. */
const clean = (text: string): string => normalForm(text, "NFC").toWellFormed()

/** Vectors of `texts`, L2-normalised. The first failure stops the batches that are under way. */
export const embedBatched = async (
  { embedder, dimensions, batchSize, concurrency, prefix = "", invalid = invalidResponse }: Batching,
  given: ReadonlyArray<string>,
  signal: AbortSignal | undefined,
  send: EmbedBatch
): Promise<Float32Array> => {
  if (signal?.aborted) throw new Cancelled()
  // As they are now: the caller may change the array while requests are under way.
  const texts = given.slice()
  await forEachSliced(texts.length, undefined, (index) => {
    const text = texts[index]!
    if (!SUBSTANCE.test(text)) throw new EmptyEmbedding({ index, text })
  })
  const stop = new AbortController()
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const out = new UnitRows(texts.length, dimensions, (detail) => invalid(embedder, detail))
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < texts.length && !stop.signal.aborted) {
      const from = next
      next = Math.min(from + batchSize, texts.length)
      const batch = texts.slice(from, next).map((text) => prefix + clean(text))
      await out.write(from, batch.length, await send(batch, either))
      // Models in this process may answer without a turn of the event loop, and signals fire in those.
      await roomInTurn()
      if (signal?.aborted) throw new Cancelled()
    }
  }
  let failure: { readonly error: unknown } | undefined
  const guarded = () =>
    lane().catch((error) => {
      failure ??= { error }
      stop.abort()
    })
  await allSettled(Array.from({ length: Math.min(concurrency, Math.ceil(texts.length / batchSize)) }, guarded))
  if (signal?.aborted) throw new Cancelled()
  if (failure) throw failure.error
  return out.vectors
}

const invalidResponse = (embedder: string, detail: string): SabineError =>
  new EmbedderRequestFailed({ embedder, reason: "invalid-response", detail })

/** Vectors of models as rows of unit length, or the error that says which one is none. */
export class UnitRows {
  vectors = new Float32Array()
  readonly #count: number
  #dimensions: number | undefined
  readonly #invalid: (detail: string) => SabineError

  constructor(count: number, dimensions: number | undefined, invalid: (detail: string) => SabineError) {
    this.#count = count
    this.#dimensions = dimensions
    this.#invalid = invalid
  }

  /** Takes the vectors of texts `from` on; rejects unless they are `count` vectors of one dimension. */
  async write(from: number, count: number, vectors: ReadonlyArray<ArrayLike<number>>): Promise<void> {
    if (!Array.isArray(vectors)) this.#fail("wanted an array of vectors")
    if (vectors.length !== count) this.#fail(`${vectors.length} vectors for ${count} texts`)
    this.#dimensions ??= vectors[0]?.length
    const dimensions = this.#dimensions ?? 0
    if (!(dimensions >= 1 && dimensions <= MAX_DIMENSIONS)) this.#fail(`a vector of ${dimensions} components`)
    if (this.vectors.length === 0) this.vectors = new Float32Array(this.#count * dimensions)
    await forEachSliced(count, undefined, (i) => {
      const fault = writeUnit(vectors[i]!, dimensions, this.vectors, (from + i) * dimensions)
      if (fault !== undefined) this.#fail(`vector ${from + i} ${fault}`)
    })
  }

  #fail(detail: string): never {
    throw this.#invalid(detail)
  }
}

/** Writes `vector`, scaled to unit length, at `out[at]`; what is wrong with it, when something is. */
const writeUnit = (
  vector: ArrayLike<number>,
  dimensions: number,
  out: Float32Array,
  at: number
): string | undefined => {
  if (vector?.length !== dimensions) return `has ${vector?.length} components, expected ${dimensions}`
  let norm = 0
  for (let c = 0; c < dimensions; c++) {
    const component = vector[c]
    if (!Number.isFinite(component)) return "has a component that is no finite number"
    norm += component! * component!
  }
  if (!(norm > 0 && norm < Number.POSITIVE_INFINITY)) return "has no direction"
  const inverse = 1 / Math.sqrt(norm)
  for (let c = 0; c < dimensions; c++) out[at + c] = vector[c]! * inverse
  return undefined
}

/** The dimension of `model` that is known without asking it; throws `InvalidParameter` when none is. */
export const knownDimensions = (model: string, dimensions: number | undefined): number => {
  if (dimensions !== undefined) return dimensions
  throw new InvalidParameter({ parameter: "dimensions", reason: `say how many components a vector of ${model} has` })
}
