/** What a model behind an embedder has been used for. */
import type { Embedder } from "./embedder.ts"

/** What an embedder has used since it was made. */
export interface EmbedderUsage {
  /** Requests, retries among them. */
  readonly requests: number
  readonly retries: number
  /** Texts that vectors came back for. */
  readonly texts: number
  /** Tokens, as the server counted them. */
  readonly tokens: number
  /** US dollars; 0 where no price is known. */
  readonly cost: number
}

/** An embedder that counts what it uses. */
export interface MeteredEmbedder extends Embedder {
  /** The counters of this moment. */
  readonly usage: EmbedderUsage
}

export class Meter {
  readonly #counts = { requests: 0, retries: 0, texts: 0, tokens: 0, cost: 0 }
  /** US dollars a token. */
  readonly #price: number

  constructor(pricePerMillionTokens: number) {
    this.#price = pricePerMillionTokens / 1e6
  }

  readonly onRequest = (isRetry: boolean): void => {
    this.#counts.requests++
    if (isRetry) this.#counts.retries++
  }

  onVectors(texts: number, tokens: unknown): void {
    this.#counts.texts += texts
    if (typeof tokens !== "number" || !(tokens >= 0)) return
    this.#counts.tokens += tokens
    this.#counts.cost += tokens * this.#price
  }

  usage(): EmbedderUsage {
    return { ...this.#counts }
  }
}
