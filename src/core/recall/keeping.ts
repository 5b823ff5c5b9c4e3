/** How items come into a pool: checked, judged where that is asked for, with room made for them. */
import { randomUUID } from "node:crypto"
import { finite, object } from "../checked.ts"
import { checkedKey } from "../collection/entries.ts"
import type { FieldInput } from "../collection/fields.ts"
import { DuplicateKey, FeatureUnavailable, InvalidParameter } from "../errors.ts"
import { NO_NAMESPACE } from "../store/rows.ts"
import type { Budget } from "./budget.ts"
import type { Candidate, Surroundings } from "./coherence/coherence.ts"
import type { PoolItems, Prepared } from "./items.ts"
import { OWN_FIELDS, type RecallSettings } from "./options.ts"
import { packItem, type Sensed } from "./packed.ts"
import { spectralOf, spectrumOfTensor } from "./spectral.ts"
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
  readonly candidate: Candidate
}

interface KeepingParts {
  readonly items: PoolItems
  readonly settings: RecallSettings
  readonly budget: Budget
  readonly surroundings: () => Surroundings
  readonly biasOf: (label: string | undefined) => number
  /** Called after every change. */
  readonly changed: () => void
}

export class Keeping {
  readonly #parts: KeepingParts
  accepted = 0
  rejected = 0
  evicted = 0

  constructor(parts: KeepingParts) {
    this.#parts = parts
  }

  /** Adds all items or none; their keys. */
  async add(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<string>> {
    const items = await this.#checked(inputs, signal)
    await this.#write(items, signal)
    return items.map(({ key }) => key)
  }

  /** Adds those that are coherent with the pool and with those of them that were added before. */
  async addIfCoherent(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<Verdict>> {
    const { settings, surroundings } = this.#parts
    const { coherence, coherenceThreshold: threshold } = settings
    const verdicts: Array<Verdict> = []
    for (const item of await this.#checked(inputs, signal)) {
      const { score, reason } = await coherence.measure(item.candidate, surroundings())
      if (!(score >= 0 && score <= 1)) {
        throw new InvalidParameter({ parameter: "coherence", reason: `${coherence.id} measured ${score}` })
      }
      const isAdded = score >= threshold
      if (isAdded) await this.#write([item], signal)
      else this.rejected++
      verdicts.push({ isAdded, key: item.key, score, threshold, measure: coherence.id, reason })
    }
    return verdicts
  }

  /** Forgets what was counted. */
  clear(): void {
    this.accepted = 0
    this.rejected = 0
    this.evicted = 0
  }

  async remove(key: string): Promise<boolean> {
    checkedKey(key, NO_NAMESPACE)
    const isRemoved = await this.#parts.items.remove(key)
    if (isRemoved) this.#parts.changed()
    return isRemoved
  }

  /** Room first, but nobody gives way before the items are there: what fails loses nothing. */
  async #write(items: ReadonlyArray<Prepared>, signal: AbortSignal): Promise<void> {
    if (items.length === 0) return
    const { items: pool, budget, changed } = this.#parts
    const keys = new Set<string>()
    for (const { key } of items) {
      if (keys.has(key) || pool.find(key) >= 0) throw new DuplicateKey({ key })
      keys.add(key)
    }
    const victims = await budget.victims(items.map((item) => pool.bytesFor(item)))
    const goes = victims.map((row) => pool.keyOf(row))
    try {
      await pool.add(items, signal)
      this.accepted += items.length
      await Promise.all(goes.map((key) => pool.remove(key)))
      this.evicted += goes.length
    } finally {
      changed()
    }
  }

  async #checked(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<Checked>> {
    const { items, settings, biasOf } = this.#parts
    if (!Array.isArray(inputs)) throw new InvalidParameter({ parameter: "items", reason: "wanted an array" })
    const parts = inputs.map((input) => this.#partsOf(input))
    const texts = parts.filter(({ vector, text }) => vector === undefined && text !== undefined)
    const embedded =
      texts.length === 0
        ? undefined
        : await items.embed(
            texts.map(({ text }) => text!),
            "document",
            signal
          )
    let next = 0
    return parts.map(({ key, vector, text, payload, label, utility, sensed, fields }) => {
      const spectrum = sensed && spectralOf(sensed.spectrum)
      const encoded = () => {
        if (sensed === undefined) {
          throw new InvalidParameter({ parameter: "item", reason: "wanted an embedding, a text or a tensor" })
        }
        const { encoder } = settings
        if (encoder === undefined) {
          throw new FeatureUnavailable({ feature: "encoding a tensor", reason: "the pool has no encoder" })
        }
        const bias = biasOf(label)
        return items.ownVector(encoder.encode({ tensor: sensed.tensor, spectrum: spectrum!, utility, bias }))
      }
      const ofText = () => {
        const from = next++ * items.dimensions
        return embedded!.slice(from, from + items.dimensions)
      }
      const embedding = vector ?? (text === undefined ? encoded() : ofText())
      return {
        key,
        vector: embedding,
        packed: packItem(payload, sensed),
        fields: { ...fields, class: label, utility, outcomes: 0, added: items.tick() },
        candidate: { embedding, class: label, utility, tensor: sensed?.tensor, spectrum }
      }
    })
  }

  /** The parts of an item as they are now, but for what must be waited for. */
  #partsOf(input: RecallInput) {
    const {
      key = randomUUID(),
      embedding,
      text,
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
    const sensed: Sensed | undefined = own && { tensor: own, spectrum: spectrumOfTensor(own) }
    const payload = input.payload === undefined && text !== undefined ? { text } : input.payload
    const vector = embedding === undefined ? undefined : this.#parts.items.ownVector(embedding)
    return { key, vector, text, payload, label, utility, sensed, fields: { ...fields } }
  }
}
