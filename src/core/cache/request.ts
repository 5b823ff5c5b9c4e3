/**
 * What is asked of a model, as the cache tells requests apart: the text of the last message of the user, which may be
 * near another, and everything else, which must be the same.
 */
import { object } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import { normalForm } from "../normal-form.ts"
import { whenThere } from "../promise.ts"
import { canonicalHash } from "./canonical-hash.ts"

export interface CacheMessage {
  /** `"user"`, `"assistant"`, `"system"`, `"tool"` or any other. */
  readonly role: string
  /** A text, or parts, of which those like `{ type: "text", text }` are text. */
  readonly content: unknown
}

/**
 * A request to a model. All of it but the text of the last message of the user is its scope: an answer is served only
 * where the scope is the same to the last character, properties that are not named here included. Values are JSON or bytes;
 * functions are left out. A request of about 48 KiB of JSON or more is read in turns of the event loop: it is to stay as it is
 * until the call settles, and so is an answer that is set for it. What a function of `wrap` is asked with is to stay whatever
 * its length: the model may be given it long after.
 */
export interface CacheRequest {
  /** Whose it is. Answers never cross tenants. Default: that of the cache. */
  readonly tenant?: string | undefined
  readonly model?: string | undefined
  /** The system prompt, where it is not among the messages. */
  readonly system?: unknown
  readonly tools?: unknown
  /** Sampling parameters, and whatever else an answer depends on. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined
  /** One message of the user: short for `messages`. */
  readonly prompt?: string | undefined
  /** The conversation. One of `prompt` and `messages` is needed. */
  readonly messages?: ReadonlyArray<CacheMessage> | undefined
}

/** A request as it is looked up. */
export interface Asked {
  /** SHA-256 of the scope, 32 bytes. */
  readonly scope: Buffer
  /** Where entries of the scope lie: one of 65,536 namespaces, by the start of the hash. */
  readonly namespace: string
  /** What may be near another, in Unicode normal form C. */
  readonly text: string
  /** SHA-256 of scope and text, base64url: the key of the entry. */
  readonly key: string
}

/** Hexadecimal digits of a namespace: enough to make scopes of one rare, few enough to be remembered for ever. */
const NAMESPACE_DIGITS = 4
const namespaceIn = (scope: string): string => scope.slice(0, NAMESPACE_DIGITS)

/** The namespace of entries of a scope. */
export const namespaceOf = (scope: Buffer): string => namespaceIn(scope.toString("hex", 0, NAMESPACE_DIGITS / 2))

/** Stands in a scope where the text was taken out; no JSON value has the form. */
const TAKEN = new Uint8Array()

const SCOPE = /^[0-9a-f]{64}$/

/** The hash of a scope of its hexadecimal digits, 64 in lower case; throws `InvalidParameter` when they are none. */
export const scopeOfDigits = (digits: string): Buffer => {
  if (SCOPE.test(digits)) return Buffer.from(digits, "hex")
  throw new InvalidParameter({ parameter: "scope", reason: "wanted a request, or the scope of an entry" })
}

/**
 * A request taken apart: at once, but for a long one, which is read in shares of the event loop and is to stay as it is until
 * then. Throws or rejects with `InvalidParameter` when it is none.
 */
export const askedOf = (request: CacheRequest, usualTenant: string | undefined): Asked | Promise<Asked> => {
  const { all, text } = partsOf(request, usualTenant)
  const scope = hexOf(all)
  const normal = normalForm(text, "NFC")
  return whenThere(scope, (scope) => askedIn(scope, normal))
}

/** The scope of a request alone, as `askedOf` has it: of one that is long in its last text only, at once. */
export const scopeOf = (request: CacheRequest, usualTenant: string | undefined): Buffer | Promise<Buffer> =>
  whenThere(hexOf(partsOf(request, usualTenant).all), (scope) => Buffer.from(scope, "hex"))

const hexOf = (all: ReadonlyArray<unknown>): string | Promise<string> =>
  canonicalHash(all, { before: "", parameter: "request", encoding: "hex" })

/** The text that may be near another, and all else. */
const partsOf = (
  request: CacheRequest,
  usualTenant: string | undefined
): { readonly all: ReadonlyArray<unknown>; readonly text: string } => {
  const { tenant, model, system, tools, parameters, prompt, messages, ...more } = object("request", request)
  const conversation = messagesOf(prompt, messages)
  const at = conversation.findLastIndex(({ role }) => role === "user")
  const { text, rest } = at < 0 ? { text: "", rest: null } : textOf(conversation[at]!, at)
  const others = conversation.map((message, i) => (i === at ? rest : message))
  // A model that is asked with more than that answers by it.
  const known = [tenant ?? usualTenant, model, system, tools, parameters, others]
  const isMore = Object.values(more).some((part) => part !== undefined && typeof part !== "function")
  return { all: isMore ? [...known, more] : known, text }
}

const askedIn = (scope: string, text: string): Asked | Promise<Asked> => {
  const asked = (key: string): Asked => ({
    scope: Buffer.from(scope, "hex"),
    namespace: namespaceIn(scope),
    text,
    key
  })
  // JSON escapes what UTF-8 has no form for: two texts with different halves of pairs are two keys.
  const key = canonicalHash(text, { before: scope, parameter: "text", encoding: "base64url" })
  return whenThere(key, asked)
}

const messagesOf = (prompt: unknown, messages: unknown): ReadonlyArray<CacheMessage> => {
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  if (messages === undefined) {
    if (typeof prompt !== "string") throw wrong("prompt", "wanted a text, where there are no messages")
    return [{ role: "user", content: prompt }]
  }
  if (prompt !== undefined) throw wrong("prompt", "wanted a prompt or messages, not both")
  if (!Array.isArray(messages)) throw wrong("messages", "wanted an array")
  return messages.map((message, i) => object(`messages[${i}]`, message))
}

const isText = (part: unknown): part is { readonly type: string; readonly text: string } =>
  typeof part === "object" &&
  part !== null &&
  "text" in part &&
  typeof part.text === "string" &&
  "type" in part &&
  (part.type === "text" || part.type === "input_text")

/**
 * Stands for one of several texts, which are joined by lines: where it has lines of its own their number tells where it
 * ends, so that what is beside an image is not taken for what is beside another.
 */
const endOf = (text: string, count: number): Uint8Array => {
  const lines = count === 1 ? 0 : text.split("\n").length - 1
  return lines === 0 ? TAKEN : Buffer.from(String(lines))
}

/** The text of a message, and the message without it. */
const textOf = (message: CacheMessage, at: number): { readonly text: string; readonly rest: unknown } => {
  const { content } = message
  if (typeof content === "string") return { text: content, rest: { ...message, content: TAKEN } }
  if (!Array.isArray(content)) {
    const reason = "wanted a text or an array of parts"
    throw new InvalidParameter({ parameter: `messages[${at}].content`, reason })
  }
  const texts = content.filter(isText)
  const text = texts.map((part) => part.text).join("\n")
  // One part that is nothing but text is the same as the text.
  if (content.length === 1 && texts.length === 1 && Object.keys(texts[0]!).length === 2) {
    return { text, rest: { ...message, content: TAKEN } }
  }
  const others = content.map((part) => (isText(part) ? { ...part, text: endOf(part.text, texts.length) } : part))
  return { text, rest: { ...message, content: others } }
}
