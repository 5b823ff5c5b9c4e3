/** What came of the items that were used: the utility of each, and what it says of its class. */
import { finite, object, shown, wholeNumber } from "../checked.ts"
import { checkedKey } from "../collection/entries.ts"
import { InvalidParameter, KeyNotFound } from "../errors.ts"
import { forEachSliced } from "../slice.ts"
import { NO_NAMESPACE } from "../store/rows.ts"
import { inGroups } from "./in-groups.ts"
import type { PoolItems } from "./items.ts"
import { usefulness } from "./retrieval/hybrid.ts"

/** What came of an item that was used. */
export interface Outcome {
  readonly key: string
  /** How much the loss changed: an item that lowered it was useful. */
  readonly deltaLoss: number
}

/** What outcomes say of one class. */
export interface ClassBias {
  /** Outcomes of its items. */
  readonly outcomes: number
  /** Their mean utility, -1..1. */
  readonly utility: number
}

/** What outcomes say of all classes: plain JSON. */
export interface BiasProfile {
  readonly version: 1
  readonly classes: Readonly<Record<string, ClassBias>>
}

const VERSION = 1
/** Outcomes of no effect that every class begins with: few outcomes say little. */
const PRIOR = 5

/** The utility that an outcome stands for: `-clamp(deltaLoss, -1, 1)`. */
const utilityOf = (deltaLoss: number): number => 0 - Math.min(1, Math.max(-1, deltaLoss))

/** Outcomes as they are now, whatever the caller makes of them while others write. */
export const ownOutcomes = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> => {
  if (!Array.isArray(outcomes)) throw new InvalidParameter({ parameter: "outcomes", reason: "wanted an array" })
  return outcomes.map((outcome) => ({ ...object("outcome", outcome) }))
}

export class Bias {
  readonly #strength: number
  #classes = new Map<string, ClassBias>()

  constructor(strength: number) {
    this.#strength = strength
  }

  /** What is added to the utility of the items of a class: their mean outcome, less the fewer there were. */
  of(label: string | undefined): number {
    const known = label === undefined ? undefined : this.#classes.get(label)
    return known === undefined ? 0 : (this.#strength * known.utility * known.outcomes) / (known.outcomes + PRIOR)
  }

  usefulness(utility: number, label: string | undefined): number {
    return usefulness(utility, this.of(label))
  }

  /**
   * The utility of an item becomes the mean of its outcomes; what it was given when it was added counts until the first.
   * Rejects with `KeyNotFound` before anything has changed when there is no such item.
   */
  async learn(items: PoolItems, outcomes: ReadonlyArray<Outcome>): Promise<void> {
    const observed = new Map<string, Array<number>>()
    await forEachSliced(outcomes.length, undefined, (i) => {
      const { key, deltaLoss } = outcomes[i]!
      checkedKey(key, NO_NAMESPACE)
      if (items.find(key) < 0) throw new KeyNotFound({ key })
      const ofKey = observed.get(key) ?? []
      observed.set(key, ofKey)
      ofKey.push(utilityOf(finite("deltaLoss", deltaLoss)))
    })
    await inGroups([...observed.keys()], async (key) => {
      const row = items.find(key)
      if (row < 0) throw new KeyNotFound({ key })
      const label = items.classOf(row)
      const ofKey = observed.get(key)!
      const before = items.number(row, "outcomes")
      const utility = ofKey.reduce((so, one, i) => mean(so, before + i, one), items.number(row, "utility"))
      await items.change(key, { utility, outcomes: before + ofKey.length })
      if (label === undefined) return
      for (const one of ofKey) {
        const { outcomes = 0, utility = 0 } = this.#classes.get(label) ?? {}
        this.#classes.set(label, { outcomes: outcomes + 1, utility: mean(utility, outcomes, one) })
      }
    })
  }

  profile(): BiasProfile {
    return { version: VERSION, classes: Object.fromEntries(this.#classes) }
  }

  /** Takes a profile in place of what was learned; throws `InvalidParameter`. */
  use(profile: BiasProfile): void {
    const { version, classes } = object("profile", profile)
    if (version !== VERSION) {
      throw new InvalidParameter({ parameter: "profile.version", reason: `wanted ${VERSION}, got ${shown(version)}` })
    }
    const taken = new Map<string, ClassBias>()
    for (const [label, ofClass] of Object.entries(object("profile.classes", classes))) {
      const parameter = `profile.classes.${label}`
      const { outcomes, utility } = object(parameter, ofClass)
      wholeNumber(`${parameter}.outcomes`, outcomes, 0, Number.MAX_SAFE_INTEGER)
      if (Math.abs(finite(`${parameter}.utility`, utility)) > 1) {
        throw new InvalidParameter({ parameter: `${parameter}.utility`, reason: "wanted a number from -1 to 1" })
      }
      taken.set(label, { outcomes, utility })
    }
    this.#classes = taken
  }

  clear(): void {
    this.#classes.clear()
  }
}

/** The mean of one more number than there were before. */
const mean = (before: number, count: number, observed: number): number => before + (observed - before) / (count + 1)
