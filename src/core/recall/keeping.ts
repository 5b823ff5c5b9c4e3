/** How items come into a pool: checked, judged where that is asked for, with room made for them. */
import { randomUUID } from "node:crypto"
import { finite, object } from "../checked.ts"
import { checkedKey } from "../collection/entries.ts"
import type { FieldInput } from "../collection/fields.ts"
import { DuplicateKey, FeatureUnavailable, InvalidParameter } from "../errors.ts"
import { forEachSliced, mapSliced } from "../slice.ts"
import { NO_NAMESPACE } from "../store/rows.ts"
import { roomInTurn } from "../turn.ts"
import type { Budget } from "./budget.ts"
import type { Candidate, Surroundings } from "./coherence/coherence.ts"
import { inGroups } from "./in-groups.ts"
import type { PoolItems, Prepared } from "./items.ts"
import { OWN_FIELDS, type RecallSettings } from "./options.ts"
import { packItem, packSpectrum } from "./packed.ts"
import type { Serial } from "./serial.ts"
import { type SpectralFeatures, spectralOf } from "./spectral.ts"
import { ownTensor, type Tensor } from "./tensor.ts"

/** What is added: an embedding, or a text for the pool's embedder, or a tensor for its encoder. */
export interface RecallInput {
  /** 1 to 1,024 bytes of UTF-8. Default: a random UUID. */
  readonly key?: string | undefined
  /** As many finite numbers as the pool has dimensions, not all zero. Kept at length 1. */
  readonly embedding?: ArrayLike<number> | undefined
  /** Embedded when there is no embedding. */
  readonly text?: string | undefined
  /** A JSON value or a `Uint8Array`. Default `{ text }` when a text is given. */
  readonly payload?: unknown
  /** Label of the item's class, a text of at most 1,024 bytes. */
  readonly class?: string | undefined
  /** How useful the item is, -1..1. Default 0. */
  readonly utility?: number | undefined
  /** Kept with the item, and encoded when there is neither embedding nor text. */
  readonly tensor?: Tensor | undefined
  /** Values of the pool's own fields. */
  readonly fields?: FieldInput | undefined
}

/** What became of an item that was to be added if coherent. */
export interface Verdict {
  readonly isAdded: boolean
  /** Key of the item, added or not. */
  readonly key: string
  /** Coherence, 0..1. */
  readonly score: number
  /** Least coherence of what is added. */
  readonly threshold: number
  /** The measure of coherence. */
  readonly measure: string
  /** Why, in one line. */
  readonly reason: string
}

/** An item that is ready to be written, and what is known of it. */
interface Checked extends Prepared {
  /** Whether the pool's encoder made the embedding. */
  readonly isEncoded: boolean
  readonly candidate: Candidate
}

/** An item as it was given, but for what must be waited for. */
interface Parts extends Pick<Candidate, "utility" | "tensor"> {
  readonly key: string
  readonly vector: Float32Array | undefined
  readonly text: string | undefined
  readonly packed: Uint8Array
  readonly label: string | undefined
  readonly fields: FieldInput
}

interface KeepingParts {
  readonly items: PoolItems
  readonly settings: RecallSettings
  readonly budget: Budget
  readonly surroundings: () => Surroundings
  readonly biasOf: (label: string | undefined) => number
  /** Runs writers one after another. */
  readonly writers: Serial
}

export class Keeping {
  readonly #parts: KeepingParts
  accepted = 0
  rejected = 0
  evicted = 0

  constructor(parts: KeepingParts) {
    this.#parts = parts
  }

  /** Adds all items or none; their keys. Nobody waits for them while they are checked and embedded. */
  async add(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<string>> {
    this.#parts.writers.check()
    const items = await this.#checked(inputs, signal)
    await this.#parts.writers.run(() => this.#write(items, signal))
    return items.map(({ key }) => key)
  }

  /** Adds those that are coherent with the pool and with those of them that were added before. */
  async addIfCoherent(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<Verdict>> {
    this.#parts.writers.check()
    const items = await this.#checked(inputs, signal)
    return this.#parts.writers.run(async () => {
      await this.#checkKeys(items, signal)
      const verdicts: Array<Verdict> = []
      for (const item of items) {
        // In memory, and by a measure that waits for nothing, many would settle in one turn.
        const room = roomInTurn()
        if (room !== undefined) await room
        signal.throwIfAborted()
        verdicts.push(await this.#judged(item, signal))
      }
      return verdicts
    })
  }

  /** Forgets what was counted. */
  clear(): void {
    this.accepted = 0
    this.rejected = 0
    this.evicted = 0
  }

  remove(key: string): Promise<boolean> {
    checkedKey(key, NO_NAMESPACE)
    return this.#parts.writers.run(() => this.#parts.items.remove(key))
  }

  async #judged(item: Checked, signal: AbortSignal): Promise<Verdict> {
    const { settings, surroundings, writers } = this.#parts
    const { coherence, coherenceThreshold: threshold } = settings
    const measured = await writers.calling(() => coherence.measure(item.candidate, surroundings()))
    const { score, reason } = object("coherence", measured)
    if (typeof score !== "number" || !(score >= 0 && score <= 1)) {
      throw new InvalidParameter({ parameter: "coherence", reason: `${coherence.id} measured ${score}` })
    }
    const isAdded = score >= threshold
    if (isAdded) await this.#write([item], signal)
    else this.rejected++
    return { isAdded, key: item.key, score, threshold, measure: coherence.id, reason }
  }

  async #checkKeys(items: ReadonlyArray<Prepared>, signal: AbortSignal): Promise<void> {
    const keys = new Set<string>()
    await forEachSliced(items.length, signal, (i) => {
      const { key } = items[i]!
      if (keys.has(key) || this.#parts.items.find(key) >= 0) throw new DuplicateKey({ key })
      keys.add(key)
    })
  }

  /** Room first, but nobody gives way before the items are there: what fails loses nothing. */
  async #write(items: ReadonlyArray<Checked>, signal: AbortSignal): Promise<void> {
    if (items.length === 0) return
    signal.throwIfAborted()
    const { items: pool, budget, settings } = this.#parts
    // Another pool may have written what its own encoder made while this one waited.
    if (settings.encoder !== undefined && items.some(({ isEncoded }) => isEncoded)) pool.checkEncoder(settings.encoder)
    await this.#checkKeys(items, signal)
    const sizes = new Float64Array(items.length)
    await forEachSliced(items.length, signal, (i) => {
      sizes[i] = pool.bytesFor(items[i]!)
    })
    const goes = await budget.victims(sizes)
    await pool.add(items, signal)
    this.accepted += items.length
    await inGroups(goes, async (key) => {
      if (await pool.remove(key)) this.evicted++
    })
  }

  async #checked(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<Checked>> {
    const { items } = this.#parts
    if (!Array.isArray(inputs)) throw new InvalidParameter({ parameter: "items", reason: "wanted an array" })
    const given = [...inputs]
    // Copies of tensors take longer than a look at the clock.
    const parts = await mapSliced(given.length, signal, (i) => this.#partsOf(given[i]!), 1)
    const spectra = await this.#spectraOf(parts, signal)
    const ofTexts = parts.flatMap(({ vector, text }, i) => (vector === undefined && text !== undefined ? [i] : []))
    const texts = ofTexts.map((i) => parts[i]!.text!)
    const embedded = texts.length === 0 ? undefined : await items.embed(texts, ofTexts, signal)
    let next = 0
    const ofText = () => {
      const from = next++ * items.dimensions
      return embedded!.slice(from, from + items.dimensions)
    }
    const checked: Array<Checked> = []
    await forEachSliced(parts.length, signal, (i) => {
      const { key, vector, text, packed, label, utility, tensor, fields } = parts[i]!
      const spectrum = spectra[i]
      const embedding = vector ?? (text === undefined ? this.#encoded(parts[i]!, spectrum) : ofText())
      checked.push({
        key,
        vector: embedding,
        isEncoded: vector === undefined && text === undefined,
        packed,
        fields: { ...fields, class: label, utility },
        candidate: { embedding, class: label, utility, tensor, spectrum }
      })
    })
    return checked
  }

  /** Spectral features of each item that has a tensor, packed with it too. */
  async #spectraOf(
    parts: ReadonlyArray<Parts>,
    signal: AbortSignal
  ): Promise<ReadonlyArray<SpectralFeatures | undefined>> {
    const spectra: Array<SpectralFeatures | undefined> = new Array(parts.length)
    for (const [i, { tensor, packed }] of parts.entries()) {
      if (tensor === undefined) continue
      const numbers = await this.#parts.items.spectrumOf(tensor)
      signal.throwIfAborted()
      packSpectrum(packed, numbers)
      spectra[i] = spectralOf(numbers)
    }
    return spectra
  }

  #encoded({ tensor, label, utility }: Parts, spectrum: SpectralFeatures | undefined): Float32Array {
    if (tensor === undefined || spectrum === undefined) {
      throw new InvalidParameter({ parameter: "item", reason: "wanted an embedding, a text or a tensor" })
    }
    const { items, settings, biasOf } = this.#parts
    if (settings.encoder === undefined) {
      throw new FeatureUnavailable({ feature: "encoding a tensor", reason: "the pool has no encoder" })
    }
    return items.encode(settings.encoder, { tensor, spectrum, utility, bias: biasOf(label) })
  }

  /** The parts of an item as they are now, but for what must be waited for. */
  #partsOf(input: RecallInput): Parts {
    const {
      key = randomUUID(),
      embedding,
      text,
      payload,
      class: label,
      utility = 0,
      tensor,
      fields = {}
    } = object("item", input)
    const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
    checkedKey(key, NO_NAMESPACE)
    if (text !== undefined && typeof text !== "string") throw wrong("text", "wanted a text")
    if (label !== undefined && (typeof label !== "string" || label === "")) throw wrong("class", "wanted a label")
    if (Math.abs(finite("utility", utility)) > 1) throw wrong("utility", `wanted a number from -1 to 1, got ${utility}`)
    for (const name of Object.keys(OWN_FIELDS)) {
      if (name in object("fields", fields)) throw wrong(`fields.${name}`, "the pool writes it itself")
    }
    const own = tensor === undefined ? undefined : ownTensor(tensor)
    const encoder = embedding === undefined && text === undefined ? this.#parts.settings.encoder?.id : undefined
    return {
      key,
      vector: embedding === undefined ? undefined : this.#parts.items.ownVector(embedding),
      text,
      packed: packItem(payload === undefined && text !== undefined ? { text } : payload, own, encoder),
      label,
      utility,
      tensor: own,
      fields: { ...fields }
    }
  }
}
