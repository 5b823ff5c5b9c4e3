/**
 * What is known of an answer beside its value, and whether it may be kept: an answer that is served again and again must
 * have been whole, and must not ask for anything to be done.
 */
import { isOfBytes } from "./json.ts"
import type { Form } from "./packed.ts"

/** How an answer may have ended. */
export const FINISHES = ["stop", "unfinished", "refused", "error"] as const

/** How an answer came out. What is not told is taken as good. */
export interface AnswerFacts {
  /** Default `"stop"`: it is whole. */
  readonly finish?: (typeof FINISHES)[number] | undefined
  /** Whether it calls a tool. Default: no. */
  readonly hasToolCalls?: boolean | undefined
  /** Whether it was asked for as structured output that nobody has validated yet. Default: no. */
  readonly isUnvalidated?: boolean | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  /** What the answer cost, in whatever money the caller counts. */
  readonly cost?: number | undefined
}

/** Why an answer was not kept. */
export type Unkept =
  | "error"
  | "tool-calls"
  | "unfinished"
  | "refused"
  | "unvalidated"
  /** Answer or text longer than `maxAnswerBytes`, or with its question more than a tenth of `maxBytes`. */
  | "too-large"
  /** JSON has no form for it. */
  | "not-json"
  /** The request has no text of a user, or the embedder finds nothing in it. */
  | "no-text"
  /** What it was made from was invalidated while it was made. */
  | "invalidated"

/** Why these facts forbid to keep an answer; undefined when they do not. */
export const unkeptBy = ({ finish = "stop", hasToolCalls, isUnvalidated }: AnswerFacts): Unkept | undefined => {
  if (hasToolCalls) return "tool-calls"
  if (finish !== "stop") return finish
  return isUnvalidated ? "unvalidated" : undefined
}

type Bag = Readonly<Record<string, unknown>>

const isBag = (value: unknown): value is Bag => typeof value === "object" && value !== null
const bagsOf = (value: unknown): ReadonlyArray<Bag> => (Array.isArray(value) ? value.filter(isBag) : [])
const isFilled = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : isBag(value))

/** Words for an end that OpenAI, Anthropic, Bedrock, Gemini, Cohere, Hugging Face, the AI SDK and LangChain use, in lower case. */
const ENDS = new Map<string, NonNullable<AnswerFacts["finish"]>>([
  ["stop", "stop"],
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["completed", "stop"],
  ["complete", "stop"],
  ["eos_token", "stop"],
  ["refusal", "refused"],
  ["content-filter", "refused"],
  ["content_filter", "refused"],
  ["content_filtered", "refused"],
  ["guardrail_intervened", "refused"],
  ["safety", "refused"],
  ["prohibited_content", "refused"],
  ["error", "error"],
  ["failed", "error"]
])
const TOOL_ENDS = ["tool-calls", "tool_calls", "tool_use", "function_call"]
const REASONS = ["finish_reason", "stop_reason", "finishReason", "stopReason", "done_reason"]
/** Where an answer says more of itself: Anthropic's streams in LangChain how they ended in `additional_kwargs`. */
const INNER = ["message", "delta", "response_metadata", "additional_kwargs", "response", "content_block", "messageStop"]
/** Parts that ask the program to do something, or to let something be done. */
const TOOL_PARTS =
  /^(tool-call|tool-input|tool-approval|tool_use|tool_call|function_call|custom_tool_call|input_json_delta|computer_call|(local_)?shell_call|apply_patch_call|mcp_approval)/

/** What one object of an answer says: a whole answer, a message, a part or a chunk of a stream. */
class Reader {
  finish: AnswerFacts["finish"]
  hasToolCalls = false
  /** Whether it is of a protocol whose streams say how they end. */
  isTold = false

  read(bag: Bag, depth = 0): void {
    if (bag["error"] || bag["type"] === "error" || bag instanceof Error) this.#ends("error")
    if (typeof bag["type"] === "string" && TOOL_PARTS.test(bag["type"])) this.hasToolCalls = true
    if (isFilled(bag["tool_calls"]) || isFilled(bag["toolCalls"]) || isFilled(bag["function_call"])) {
      this.hasToolCalls = true
    }
    if (typeof bag["refusal"] === "string" && bag["refusal"] !== "") this.#ends("refused")
    // Beside how it ended some tell what it ended with.
    this.#end(REASONS.map((name) => bag[name]).find((reason) => reason !== undefined && reason !== null))
    // Every model that LangChain names the provider of says how it ended.
    if (typeof bag["model_provider"] === "string") this.isTold = true
    // An event of a stream tells how far its response is: that is no end.
    const isUnderWay = depth === 1 && (bag["status"] === "queued" || bag["status"] === "in_progress")
    if (!isUnderWay && (bag["object"] === "response" || isBag(bag["output"]))) this.#end(bag["status"])
    if (Array.isArray(bag["choices"]) || (depth === 0 && typeof bag["type"] === "string")) this.isTold = true
    // Each chunk of Ollama says whether it is the last one; one that is cut says no and nothing more.
    if (depth === 0 && typeof bag["done"] === "boolean") this.isTold = true
    if (depth === 0 && bag["done"] === true) this.#ends("stop")
    if (depth === 3) return
    for (const name of ["choices", "content", "output", "generations"]) {
      for (const part of bagsOf(bag[name]).concat(bagsOf(bagsOf(bag[name])))) this.read(part, depth + 1)
    }
    for (const name of INNER) {
      const part = bag[name]
      if (isBag(part)) this.read(part, depth + 1)
    }
  }

  #end(reason: unknown): void {
    const word = isBag(reason) ? reason["unified"] : reason
    if (typeof word !== "string") return
    const end = word.toLowerCase()
    if (TOOL_ENDS.includes(end)) this.hasToolCalls = true
    else this.#ends(ENDS.get(end) ?? "unfinished")
  }

  /** A bad end is not made good by what comes after it. */
  #ends(finish: NonNullable<AnswerFacts["finish"]>): void {
    if (this.finish === undefined || this.finish === "stop") this.finish = finish
  }
}

/**
 * What an answer in one of the usual forms says of itself: those of OpenAI, Anthropic, Ollama, the AI SDK and LangChain,
 * and chunks of their streams, also as the bytes of server-sent events or of JSON. A text, or anything of no such form,
 * is whole.
 */
export const usualFacts = (answer: unknown, form: Form): AnswerFacts => {
  const reader = new Reader()
  const chunks = form !== "value" && Array.isArray(answer) ? answer : [answer]
  const parts = isOfBytes(form) ? eventsOf(chunks) : chunks
  for (const part of parts) if (isBag(part)) reader.read(part)
  const { finish, hasToolCalls, isTold } = reader
  // A stream that would have said how it ended, and did not, was cut.
  const isCut = form !== "value" && isTold && finish === undefined
  return { finish: finish ?? (isCut ? "unfinished" : "stop"), hasToolCalls }
}

/** The objects of JSON in a body as it came from a server: whole, one a line, or one in each event. */
const eventsOf = (chunks: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const text = Buffer.concat(chunks.filter((chunk) => chunk instanceof Uint8Array)).toString()
  const whole = parsed(text)
  if (whole !== undefined) return [whole]
  return text.split(/\r\n|\r|\n/).flatMap((line) => parsed(line.replace(/^data:/, "")) ?? [])
}

const parsed = (text: string): unknown => {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
