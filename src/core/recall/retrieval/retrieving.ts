/** The retrievals: each finds candidates, ranks them, and says what made up every score. */
import { finite, object } from "../../checked.ts"
import { FeatureUnavailable, InvalidParameter } from "../../errors.ts"
import { normalise } from "../../kernels/norm.ts"
import { forEachSliced } from "../../slice.ts"
import type { FieldTypes } from "../../store/layout.ts"
import type { PoolItems } from "../items.ts"
import type { RecallSettings } from "../options.ts"
import type { Neighbour, SimilarityIndex, Wanted } from "../similarity-index.ts"
import { spectralOf } from "../spectral.ts"
import { type OwnTensor, ownTensor, type Tensor } from "../tensor.ts"
import { dispersed, diversified, similarities } from "./diversify.ts"
import { relevances } from "./hybrid.ts"
import { mostUseful } from "./most-useful.ts"
import {
  type BalancedOptions,
  type ByClassOptions,
  type DiverseOptions,
  diverseOf,
  type HybridOptions,
  hybridOf,
  isByUse,
  labelOf,
  ofClass,
  optionsText,
  similarOf
} from "./options.ts"
import type { QueryMemory } from "./query-memory.ts"
import {
  type Chosen,
  type Recalled,
  type RecallQuery,
  type RetrieveOptions,
  recalled,
  type SimilarOptions
} from "./recalled.ts"

interface RetrievingParts {
  readonly items: PoolItems
  readonly index: SimilarityIndex
  readonly settings: RecallSettings
  readonly memory: QueryMemory
  readonly generation: () => number
  readonly biasOf: (label: string | undefined) => number
}

const HOUR_MS = 3_600_000
/** Hybrid retrievals are remembered no longer than this: items age meanwhile. */
const REMEMBERED_MS = 60_000
/** Times a retrieval is made again because items that it found were changed before they were read. */
const MAX_RUNS = 4

const NO_EMBEDDING = new Float32Array()
/** For calls that nobody can cancel. */
const NEVER = new AbortController().signal

export class Retrieving {
  readonly #parts: RetrievingParts
  /** Room for the direction of a query while it is looked up. */
  readonly #direction: Float32Array

  constructor(parts: RetrievingParts) {
    this.#parts = parts
    this.#direction = new Float32Array(parts.items.dimensions)
  }

  get #fields(): FieldTypes {
    return this.#parts.items.store.shape.fields ?? {}
  }

  similar(
    query: RecallQuery,
    options: SimilarOptions,
    signal: AbortSignal | undefined
  ): Promise<ReadonlyArray<Recalled>> {
    const wanted = similarOf(options, this.#parts.settings.retrievalLimit, this.#fields)
    return this.#found("similar", query, wanted, signal, (embedding) =>
      this.#neighbours(embedding, { ...wanted, signal }, (near) => near.map(bySimilarity))
    )
  }

  byClass(label: string, options: ByClassOptions, signal: AbortSignal | undefined): Promise<ReadonlyArray<Recalled>> {
    const { query, k, filter, minSimilarity, index } = object("options", options)
    const wanted = { k, filter: ofClass(labelOf(label), filter), minSimilarity, index }
    return query === undefined ? this.byUtility(wanted, signal) : this.similar(query, wanted, signal)
  }

  balanced(
    query: RecallQuery,
    options: BalancedOptions,
    signal: AbortSignal | undefined
  ): Promise<ReadonlyArray<Recalled>> {
    const { items, settings } = this.#parts
    const { perClass, classes, filter, minSimilarity, index } = object("options", options)
    if (classes !== undefined && !Array.isArray(classes)) {
      throw new InvalidParameter({ parameter: "classes", reason: "wanted an array of labels" })
    }
    const wanted = similarOf({ k: perClass, filter, minSimilarity, index }, settings.retrievalLimit, this.#fields)
    const labels = [...new Set(classes?.map(labelOf) ?? items.tally.classes.keys())]
    // One after another: each is short, and would wait for a worker beside others.
    return this.#found("balanced", query, { ...wanted, classes }, signal, async (embedding) => {
      const chosen: Array<ReadonlyArray<Chosen>> = []
      for (const label of labels) {
        const asked = { ...wanted, filter: ofClass(label, wanted.filter), signal }
        const ofOne = await this.#neighbours(embedding, asked, (near) => near.map(bySimilarity))
        if (ofOne.length > 0) chosen.push(ofOne)
      }
      return chosen.sort((a, b) => b[0]!.score - a[0]!.score || a[0]!.row - b[0]!.row).flat()
    })
  }

  byUtility(options: RetrieveOptions, signal: AbortSignal | undefined): Promise<ReadonlyArray<Recalled>> {
    const { items, settings, biasOf } = this.#parts
    const { k: limit, filter } = similarOf(options, settings.retrievalLimit, this.#fields)
    const wanted = { limit, filter }
    return this.#found("byUtility", NO_EMBEDDING, wanted, signal, () =>
      mostUseful(items, { ...wanted, biasOf, signal })
    )
  }

  diverse(
    query: RecallQuery,
    options: DiverseOptions,
    signal: AbortSignal | undefined
  ): Promise<ReadonlyArray<Recalled>> {
    const { items, settings } = this.#parts
    const checked = diverseOf(options, settings.retrievalLimit, this.#fields)
    const { wanted, lambda, minDispersion } = checked
    return this.#found("diverse", query, checked, signal, (embedding) =>
      this.#neighbours(embedding, { ...wanted, signal }, async (near) => {
        const { kernels } = items.store
        const vectors = await items.vectorsInTurns(near.map(({ row }) => row))
        const alike = await similarities(kernels, vectors, near.length)
        const kept = minDispersion > 0 ? await dispersed(alike, near.length, minDispersion) : near.length
        const chosen: Array<Chosen> = []
        await forEachSliced(kept, signal, (i) => {
          const { row, generation, similarity } = near[i]!
          if (i === 0) return chosen.push({ row, generation, score: lambda * similarity, explanation: { similarity } })
          const nearestChosen = alike.subarray(i * near.length, i * near.length + i).reduce((a, b) => Math.max(a, b))
          const score = lambda * similarity - (1 - lambda) * nearestChosen
          return chosen.push({ row, generation, score, explanation: { similarity, nearestChosen } })
        })
        return chosen
      })
    )
  }

  hybrid(
    query: RecallQuery,
    options: HybridOptions,
    signal: AbortSignal | undefined
  ): Promise<ReadonlyArray<Recalled>> {
    const { items, settings, biasOf } = this.#parts
    const checked = hybridOf(options, settings.retrievalLimit, this.#fields, settings.weights)
    const { k, wanted, label, weights, decay, lambda } = checked
    const now = finite("clock", settings.clock())
    const kind = decay === 0 ? "hybrid" : `hybrid ${Math.floor(now / REMEMBERED_MS)}`
    return this.#found(kind, query, checked, signal, (embedding) =>
      this.#neighbours(embedding, { ...wanted, signal }, async (near) => {
        const candidates = near.map(({ row, similarity }) => {
          const own = items.classOf(row)
          return {
            similarity,
            utility: items.number(row, "utility"),
            bias: biasOf(own),
            agrees: label === undefined || own === label,
            ageHours: (now - items.number(row, "added")) / HOUR_MS
          }
        })
        const explained = relevances(candidates, { weights, decay })
        const vectors = await items.vectorsInTurns(near.map(({ row }) => row))
        const worth = explained.map(({ relevance }) => relevance)
        const picks = await diversified(items.store.kernels, { worth, vectors, k, lambda })
        return picks.map(({ at, value, nearest }) => ({
          row: near[at]!.row,
          generation: near[at]!.generation,
          score: value,
          explanation: { ...explained[at]!, ...(nearest !== undefined && { nearestChosen: nearest }) }
        }))
      })
    )
  }

  /** Remembered, or found anew; found again when what was chosen has changed before it is read. */
  async #found(
    kind: string,
    query: RecallQuery,
    options: object,
    signal: AbortSignal | undefined,
    find: (embedding: Float32Array) => Promise<ReadonlyArray<Chosen>>
  ): Promise<ReadonlyArray<Recalled>> {
    const { items, memory, generation } = this.#parts
    items.checkCurrent()
    const text = optionsText(kind, options)
    // Nothing is near what has no direction: a hit need not be checked, nor made room for.
    const isLasting = !isByUse(text)
    const isPlain = isLasting && query instanceof Float32Array && query.length === this.#direction.length
    const hit = isPlain ? memory.get(directionOf(query, this.#direction), text, generation()) : undefined
    if (hit !== undefined) return hit
    // As it is now: by the time that something was found, the caller may have another query in it.
    const embedding =
      typeof query === "string" ? await items.embedQuery(query, signal ?? NEVER) : await this.#embedded(query)
    const direction = directionOf(embedding)
    const known = isPlain || !isLasting ? undefined : memory.get(direction, text, generation())
    if (known !== undefined) return known
    const isStill = ({ row, generation }: Chosen): boolean => items.isStill(row, generation)
    for (let run = 1; ; run++) {
      const before = generation()
      const chosen = await find(embedding)
      const read: Array<Chosen> = []
      const found: Array<Recalled> = []
      const take = (i: number) => {
        if (!isStill(chosen[i]!)) return
        read.push(chosen[i]!)
        found.push(recalled(items, chosen[i]!))
      }
      // Many items, or long ones, take longer than a turn: each is read while it is what was found.
      await forEachSliced(chosen.length, signal, take, 1)
      if (read.length < chosen.length && run < MAX_RUNS) continue
      const rows = read.filter(isStill).map(({ row }) => row)
      items.used(rows)
      Object.freeze(found)
      if (isLasting && before === generation()) memory.set(direction, text, before, { found, rows })
      return found
    }
  }

  /** Ranks those neighbours that are still what was found. */
  async #neighbours(
    embedding: Float32Array,
    wanted: Wanted,
    rank: (near: ReadonlyArray<Neighbour>) => ReadonlyArray<Chosen> | Promise<ReadonlyArray<Chosen>>
  ): Promise<ReadonlyArray<Chosen>> {
    const { items, index } = this.#parts
    const near = await index.nearest(embedding, wanted)
    return rank(near.filter(({ row, generation }) => items.isStill(row, generation)))
  }

  /** The embedding of a query that is no text; what is the caller's is read before it waits. */
  #embedded(query: Exclude<RecallQuery, string>): Float32Array | Promise<Float32Array> {
    const { items } = this.#parts
    if (query === NO_EMBEDDING) return NO_EMBEDDING
    if (Array.isArray(query) || "length" in object("query", query)) return items.ownVector(query as ArrayLike<number>)
    return this.#encoded(ownTensor((query as { readonly tensor: Tensor }).tensor, "query.tensor"))
  }

  async #encoded(tensor: OwnTensor): Promise<Float32Array> {
    const { items, settings } = this.#parts
    if (settings.encoder === undefined) {
      throw new FeatureUnavailable({ feature: "a query that is a tensor", reason: "the pool has no encoder" })
    }
    const spectrum = spectralOf(await items.spectrumOf(tensor))
    return items.encode(settings.encoder, { tensor, spectrum, utility: 0, bias: 0 })
  }
}

/** A vector at length 1: what is near is told by directions, and short vectors differ by less than a tolerance. */
const directionOf = (vector: Float32Array, direction: Float32Array = new Float32Array(vector.length)): Float32Array => {
  direction.set(vector)
  normalise(direction, 0, direction.length)
  return direction
}

const bySimilarity = ({ row, generation, similarity }: Neighbour): Chosen => ({
  row,
  generation,
  score: similarity,
  explanation: { similarity }
})
