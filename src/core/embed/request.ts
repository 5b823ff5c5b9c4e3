/** One POST of JSON to a server that encodes texts, and what its failures mean. */
import { type EmbedderFailureReason, EmbedderRequestFailed, InvalidParameter } from "../errors.ts"
import { MAX_DIMENSIONS } from "../store/layout.ts"

/** What an answer other than success means, and what to do about it where that is known. */
type Classify = (
  httpStatus: number,
  message: string,
  code: string
) => { readonly reason: EmbedderFailureReason; readonly advice?: string }

export interface Endpoint {
  /** Identity of the embedder, for its errors. */
  readonly embedder: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly classify: Classify
  /** Told to a caller when nothing answers at `url`. */
  readonly unreachable: string
}

/** `url` without slashes at its end; throws `InvalidParameter` unless it is one of http or https. */
export const checkedUrl = (parameter: string, url: string): string => {
  const protocol = URL.canParse(url) ? new URL(url).protocol : ""
  if (protocol === "http:" || protocol === "https:") return url.replace(/\/+$/, "")
  throw new InvalidParameter({ parameter, reason: `wanted a URL of http or https, got ${JSON.stringify(url)}` })
}

const NUMBER_BYTES = 32
const MOST_BYTES = 2 ** 28
/** Most bytes of what a server says of an error. */
const FAULT_BYTES = 2 ** 20

/** Most bytes of an answer with so many vectors: no number takes 32, and a megabyte is left for what is said beside them. */
export const answerBytes = (vectors: number): number =>
  Math.min(MOST_BYTES, 2 ** 20 + NUMBER_BYTES * vectors * MAX_DIMENSIONS)

/** The parsed answer, of `maxBytes` at most; rejects with `EmbedderRequestFailed`. */
export const postJson = async (
  endpoint: Endpoint,
  body: object,
  maxBytes: number,
  signal: AbortSignal
): Promise<unknown> => {
  const { embedder, url, headers, classify, unreachable } = endpoint
  let response: Response
  let text: string | undefined
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal
    })
    text = await textWithin(response, response.ok ? maxBytes : FAULT_BYTES)
  } catch (cause) {
    const detail = `${unreachable} (${reasonOf(cause)})`
    throw new EmbedderRequestFailed({ embedder, reason: "unreachable", detail, cause })
  }
  const { status: httpStatus } = response
  if (response.ok) {
    if (text === undefined) {
      const detail = `the answer has more than ${maxBytes} bytes`
      throw new EmbedderRequestFailed({ embedder, reason: "invalid-response", httpStatus, detail })
    }
    try {
      return JSON.parse(text)
    } catch (cause) {
      const detail = "the answer is not JSON"
      throw new EmbedderRequestFailed({ embedder, reason: "invalid-response", httpStatus, detail, cause })
    }
  }
  const { message, code } = errorOf(text ?? "")
  const { reason, advice } = classify(httpStatus, message, code)
  const detail = advice === undefined ? message : `${message}: ${advice}`
  const retryAfter = retryAfterMs((name) => response.headers.get(name))
  throw new EmbedderRequestFailed({ embedder, reason, httpStatus, retryAfter, detail })
}

/** The body of a response; undefined, and the rest not read, when it is longer: a server may go on for ever. */
const textWithin = async ({ body }: Response, maxBytes: number): Promise<string | undefined> => {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    if (bytes > maxBytes) return undefined
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

/** fetch says only that it failed; its cause says how. */
const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof Error) return "code" in cause ? String(cause.code) : cause.message
  return String(cause)
}

/** Characters of a server's own words that are told. */
const TOLD = 1000

/** `{ error: { message, code } }` as OpenAI writes it, `{ error: message }` as Ollama does, or anything at all. */
export const errorOf = (text: string): { readonly message: string; readonly code: string } => {
  const plain = { message: text.slice(0, 200) || "no message", code: "" }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return plain
  }
  const error = (parsed as { error?: unknown } | null)?.error
  if (typeof error === "string") return { message: error.slice(0, TOLD), code: "" }
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
  return typeof message === "string" ? { message: message.slice(0, TOLD), code: String(code ?? "") } : plain
}

/** `Retry-After`, which is seconds or a date, or the milliseconds that OpenAI says beside it. */
export const retryAfterMs = (header: (name: string) => string | null | undefined): number | undefined => {
  const exact = Number.parseFloat(header("retry-after-ms") ?? "")
  if (exact >= 0) return exact
  const value = header("retry-after") ?? ""
  const seconds = Number.parseFloat(value)
  const ms = Number.isNaN(seconds) ? Date.parse(value) - Date.now() : seconds * 1000
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
