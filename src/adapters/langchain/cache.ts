/** The semantic cache as the cache of LangChain's models. */
import { BaseCache } from "@langchain/core/caches"
import type { Generation } from "@langchain/core/outputs"
import type { CacheRequest, GetOptions, SemanticCache, SetOptions } from "../../cache.ts"
import { isPassing } from "../answered.ts"
import { factsOf, generationOf, type KeptGeneration, keptOf, newId } from "./generations.ts"

export interface SabineCacheOptions
  extends Pick<GetOptions, "threshold" | "maxAgeMs">,
    Pick<SetOptions, "ttlMs" | "tags" | "sources"> {
  /** Whose questions these are. Answers never cross tenants. */
  readonly tenant?: string | undefined
}

/** How LangChain writes the messages of a conversation, one after the other. */
const ROLE = /^\w+: /
const HUMAN = "Human: "
/** What it writes in place of content that is no text: two of them may be different. */
const PLACEHOLDER = /\[(?:image|audio|video|file|text-plain file)\]/

/**
 * What asks for structured output, as far as the key of a call tells, which is `name:JSON` of each parameter: its schema is
 * not to be had. Within a parameter less can be told, for tools may have one of the name `format`.
 */
const STRUCTURED = [
  /(?:^|,)(?:response_format|format|outputFormat):(?!null|"text"|\{"type":"text"\})/,
  /(?:^|,)response(?:Json)?Schema:(?!null)/,
  /"(?:response_)?format":(?:"json"|\{"type":"(?:json_|object))/,
  /\bresponseMimeType"?:"application\/json/
]

/**
 * A cache for `new ChatOpenAI({ cache: new SabineCache(cache) })` and every other model of LangChain. LangChain asks it in
 * `invoke`, `batch` and `generate`, not in `stream`: `cachedChatModel` is for both. A model's parameters and all messages
 * but the last one of the user must be the same. LangChain hands conversations over as one text, which does not show
 * images and files: those are never kept, nor is structured output, which nobody has validated yet. What is kept of an answer is as of the cache itself.
 * When the cache cannot embed a question or is overloaded, models are asked as if there were no cache.
 */
export class SabineCache extends BaseCache {
  readonly #cache: SemanticCache
  readonly #options: SabineCacheOptions

  constructor(cache: SemanticCache, options: SabineCacheOptions = {}) {
    super()
    this.#cache = cache
    this.#options = options
  }

  async lookup(prompt: string, llmKey: string): Promise<Array<Generation> | null> {
    const { threshold, maxAgeMs } = this.#options
    const request = this.#requestOf(prompt, llmKey)
    if (request === undefined) return null
    const found = await unlessPassing(this.#cache.get(request, { threshold, maxAgeMs }))
    if (!found?.isHit) return null
    const generations = (found.value as ReadonlyArray<KeptGeneration>).map(generationOf)
    for (const generation of generations) if ("message" in generation) generation.message._updateId(newId())
    return generations
  }

  async update(prompt: string, llmKey: string, value: Array<Generation>): Promise<void> {
    const { ttlMs, tags, sources } = this.#options
    const request = this.#requestOf(prompt, llmKey)
    if (request === undefined || value.length === 0) return
    const kept = value.map(keptOf)
    const isUnvalidated = STRUCTURED.some((asking) => asking.test(llmKey))
    const facts = { ...factsOf(kept, "value"), isUnvalidated }
    await unlessPassing(this.#cache.set(request, kept, { ...facts, ttlMs, tags, sources }))
  }

  #requestOf(prompt: string, llmKey: string): CacheRequest | undefined {
    if (PLACEHOLDER.test(prompt)) return undefined
    const { before, text } = lastOf(prompt)
    return {
      tenant: this.#options.tenant,
      model: llmKey,
      parameters: { langchain: "generations", before },
      prompt: text
    }
  }
}

/** What the cache settles with; undefined where that is no reason to leave a question without an answer. */
const unlessPassing = async <A>(work: Promise<A>): Promise<A | undefined> => {
  try {
    return await work
  } catch (error) {
    if (isPassing(error)) return undefined
    throw error
  }
}

/**
 * The last message of the user and all before it. Where another message may follow, or none is the user's, nothing
 * tells them apart: then all of the text must be the same.
 */
const lastOf = (prompt: string): { readonly before: string; readonly text: string } => {
  const at = prompt.lastIndexOf(`\n${HUMAN}`) + 1
  const isHuman = prompt.startsWith(HUMAN, at)
  const text = isHuman ? prompt.slice(at + HUMAN.length) : prompt
  const isLast = !text.split("\n").some((line, i) => (i > 0 || !isHuman) && ROLE.test(line))
  return isLast ? { before: prompt.slice(0, at), text } : { before: prompt, text: prompt }
}
