/** A model of any library as an embedder whose dimension may be known only once it has embedded something. */

import { orCancelled } from "../abort.ts"
import { finite, wholeNumber } from "../checked.ts"
import { EmbedderFailed, isSabineError } from "../errors.ts"
import { DEFAULT_BATCH } from "./batched.ts"
import type { Clock } from "./clock.ts"
import type { Embedder } from "./embedder.ts"
import { Meter, type MeteredEmbedder } from "./usage.ts"

/** An embedder that may have to be asked for its dimension. */
export interface OpenEmbedder extends Omit<Embedder, "dimensions"> {
  readonly dimensions: number | undefined
}

/** One that counts what it uses. */
export interface OpenMeteredEmbedder extends OpenEmbedder, Pick<MeteredEmbedder, "usage"> {}

export interface EmbedderOfOptions {
  /** Identity, stored with a collection. By default the model's provider and name, or `"custom"`. */
  readonly id?: string | undefined
  /** Components of a vector, 1 to 8192. By default what the model says, or what it returns for a first text. */
  readonly dimensions?: number | undefined
  /** Texts of a call of the model, 1 to 2,048, 100 by default, and never more than the model says it takes. */
  readonly batchSize?: number | undefined
  /** Calls at a time, 1 to 64. Default 4, and 1 for functions and models that say they take one at a time. */
  readonly concurrency?: number | undefined
  /** AI SDK models only: milliseconds for a call with its retries, 60,000 by default. */
  readonly timeout?: number | undefined
  /** AI SDK models only: retries after 429, 5xx and failures of the network, 0 to 100, 5 by default. */
  readonly maxRetries?: number | undefined
  /** US dollars for a million tokens, for `usage.cost` of models of the AI SDK. Default 0. */
  readonly pricePerMillionTokens?: number | undefined
  /** Time, for tests. */
  readonly clock?: Clock | undefined
}

/** The batches that options ask for; throws `InvalidParameter`. */
export const batchesOf = (options: EmbedderOfOptions, concurrency: number) => ({
  batchSize: wholeNumber("batchSize", options.batchSize ?? DEFAULT_BATCH, 1, 2048),
  concurrency: wholeNumber("concurrency", options.concurrency ?? concurrency, 1, 64)
})

/** Counters with the price of options; throws `InvalidParameter`. */
export const meterOf = ({ pricePerMillionTokens = 0 }: EmbedderOfOptions): Meter =>
  new Meter(finite("pricePerMillionTokens", pricePerMillionTokens))

/** For models that run in this process: what they return is their own affair. */
export const noVectors = (embedder: string, detail: string): EmbedderFailed =>
  new EmbedderFailed({ embedder, cause: new Error(detail) })

/** What `ask` resolves with; rejects with `Cancelled` at once when the signal fires, else with an error of ours. */
export const asked = async <A>(
  embedder: string,
  signal: AbortSignal,
  ask: () => PromiseLike<A> | A,
  failure: (cause: unknown) => Error = (cause) => new EmbedderFailed({ embedder, cause })
): Promise<A> => {
  try {
    return await orCancelled((async () => ask())(), signal)
  } catch (cause) {
    throw isSabineError(cause) ? cause : failure(cause)
  }
}
