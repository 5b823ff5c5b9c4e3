/** One POST of JSON to a server that encodes texts, and what its failures mean. */
import { type EmbedderFailureReason, EmbedderRequestFailed, InvalidParameter } from "../errors.ts"

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

/** The parsed answer; rejects with `EmbedderRequestFailed`. */
export const postJson = async (endpoint: Endpoint, body: object, signal: AbortSignal): Promise<unknown> => {
  const { embedder, url, headers, classify, unreachable } = endpoint
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal
    })
    text = await response.text()
  } catch (cause) {
    const detail = `${unreachable} (${reasonOf(cause)})`
    throw new EmbedderRequestFailed({ embedder, reason: "unreachable", detail, cause })
  }
  const { status: httpStatus } = response
  if (response.ok) {
    try {
      return JSON.parse(text)
    } catch (cause) {
      const detail = "the answer is not JSON"
      throw new EmbedderRequestFailed({ embedder, reason: "invalid-response", httpStatus, detail, cause })
    }
  }
  const { message, code } = errorOf(text)
  const { reason, advice } = classify(httpStatus, message, code)
  const detail = advice === undefined ? message : `${message}: ${advice}`
  const retryAfter = retryAfterMs((name) => response.headers.get(name))
  throw new EmbedderRequestFailed({ embedder, reason, httpStatus, retryAfter, detail })
}

/** fetch says only that it failed; its cause says how. */
const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof Error) return "code" in cause ? String(cause.code) : cause.message
  return String(cause)
}

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
  if (typeof error === "string") return { message: error, code: "" }
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
  return typeof message === "string" ? { message, code: String(code ?? "") } : plain
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
