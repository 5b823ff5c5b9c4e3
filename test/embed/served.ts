/** The embedders behind HTTP, against a server of this process. */
import assert from "node:assert/strict"
import { after, beforeEach } from "node:test"
import { setTimeout } from "node:timers/promises"
import type { Clock } from "../../src/core/embed/clock.ts"
import { ollamaEmbedder } from "../../src/core/embed/ollama.ts"
import { openaiEmbedder } from "../../src/core/embed/openai.ts"
import { type EmbedderFailureReason, EmbedderRequestFailed } from "../../src/core/errors.ts"
import { EmbeddingServer } from "./embedding-server.ts"

export const DIMENSIONS = 64
export const server = new EmbeddingServer(DIMENSIONS)
await server.listen()
after(() => server.close())
beforeEach(() => server.forget())

/** Resolves once so many requests have come. */
export const asked = async (requests: number): Promise<void> => {
  while (server.requests.length < requests) await setTimeout(1)
}

interface Options {
  readonly clock?: Clock
  readonly timeout?: number
  readonly maxRetries?: number
  readonly batchSize?: number
}

export const openai = (
  options: Options & { readonly concurrency?: number; readonly requestsPerMinute?: number } = {}
) =>
  openaiEmbedder({
    baseUrl: `${server.url()}/v1/`,
    apiKey: "sk-test",
    organization: "org-1",
    dimensions: DIMENSIONS,
    ...options
  })
export const ollama = (options: Options = {}) =>
  ollamaEmbedder({ host: server.url(), dimensions: DIMENSIONS, ...options })

/** For `assert.rejects`: a request that failed for this reason. */
export const fails =
  (reason: EmbedderFailureReason, httpStatus?: number) =>
  (error: unknown): true => {
    assert.ok(error instanceof EmbedderRequestFailed, String(error))
    assert.equal(error.reason, reason, error.message)
    assert.equal(error.httpStatus, httpStatus)
    return true
  }
