/** A chat model of LangChain behind the cache: what it says at once and what it streams. */
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import type { BaseLanguageModelInput } from "@langchain/core/language_models/base"
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BindToolsInput
} from "@langchain/core/language_models/chat_models"
import type { AIMessageChunk, BaseMessage } from "@langchain/core/messages"
import type { ChatGenerationChunk, ChatResult } from "@langchain/core/outputs"
import { type Runnable, RunnableBinding } from "@langchain/core/runnables"
import type { AskOptions, CacheMessage, CacheRequest, SemanticCache } from "../../cache.ts"
import { mapSliced } from "../../core/slice.ts"
import { answered } from "../answered.ts"
import {
  chunkOf,
  factsOf,
  fieldsOf,
  generationOf,
  type KeptGeneration,
  keptOf,
  newId,
  resultOf
} from "./generations.ts"
import { isAsAsked } from "./structured.ts"

export interface CachedChatModelOptions
  extends Pick<AskOptions, "source" | "threshold" | "maxAgeMs" | "ttlMs" | "tags" | "sources"> {
  /** Whose questions these are. Answers never cross tenants. */
  readonly tenant?: string | undefined
}

type Model = BaseChatModel<BaseChatModelCallOptions>

/**
 * A model whose `invoke`, `batch` and `stream` are answered from the cache, or by the model behind it, whose answers are
 * kept. The text of the last message of the user may be near another; all other messages, tools and parameters of model
 * and call must be the same. `invoke` and `stream` share entries; an answer that is served again has an id of its own.
 * `response_metadata.sabine` of a message, the last one of a stream, says what the cache did. Tool calls, cut, refused and
 * failed answers are not kept, nor is structured output that is not what its schema asks for.
 */
export const cachedChatModel = (
  model: Model,
  cache: SemanticCache,
  options: CachedChatModelOptions = {}
): CachedChatModel => new CachedChatModel(model, cache, options)

export class CachedChatModel extends BaseChatModel {
  readonly #model: Model
  readonly #cache: SemanticCache
  readonly #options: CachedChatModelOptions

  constructor(model: Model, cache: SemanticCache, options: CachedChatModelOptions = {}) {
    const { disableStreaming, callbacks, tags, metadata, verbose, outputVersion } = model
    super({
      disableStreaming,
      verbose,
      ...(callbacks && { callbacks }),
      ...(tags && { tags }),
      ...(metadata && { metadata }),
      ...(outputVersion && { outputVersion })
    })
    this.#model = model
    this.#cache = cache
    this.#options = options
  }

  _llmType(): string {
    // Asked by the constructor of the class above too.
    return #model in this ? this.#model._llmType() : "sabine"
  }

  override _identifyingParams(): Record<string, unknown> {
    return this.#model._identifyingParams()
  }

  override invocationParams(options?: this["ParsedCallOptions"]): unknown {
    return this.#model.invocationParams(options)
  }

  override _combineLLMOutput(...outputs: ReadonlyArray<Record<string, unknown> | undefined>) {
    return this.#model._combineLLMOutput?.(...outputs)
  }

  /** Tools in the form of the model behind it. */
  override bindTools(
    tools: Array<BindToolsInput>,
    kwargs?: Partial<BaseChatModelCallOptions>
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, BaseChatModelCallOptions> {
    const bound = this.#model.bindTools?.(tools, kwargs)
    const cached = (model: Model) => new CachedChatModel(model, this.#cache, this.#options)
    // Some models hold their tools themselves, most are bound to them.
    if (bound instanceof BaseChatModel) return cached(bound)
    if (bound instanceof RunnableBinding && bound.bound instanceof BaseChatModel) {
      return cached(bound.bound).withConfig({ ...bound.kwargs, ...bound.config })
    }
    throw new TypeError(`${this._llmType()} binds no tools`)
  }

  async _generate(
    messages: Array<BaseMessage>,
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun
  ): Promise<ChatResult> {
    const { value, told, fresh } = await this.#answered(messages, options, async (signal) => {
      const result = await this.#model._generate(messages, { ...options, ...(signal && { signal }) })
      return { result, answer: result.generations.map(keptOf) }
    })
    const result = fresh ?? (await wholeOf(value, options.signal))
    for (const [i, { message }] of result.generations.entries()) {
      // The first has the id of the run, as LangChain has it; no two have the same.
      if (fresh === undefined) message._updateId(newId(i === 0 ? runManager?.runId : undefined))
      message.response_metadata = { ...message.response_metadata, sabine: told }
    }
    return result
  }

  override async *_streamResponseChunks(
    messages: Array<BaseMessage>,
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun
  ): AsyncGenerator<ChatGenerationChunk> {
    const { value, told } = await this.#answered(messages, options, async (signal) => {
      const own = { ...options, ...(signal && { signal }) }
      const answer = this.#streams ? chunksOf(this.#model._streamResponseChunks(messages, own)) : undefined
      if (answer !== undefined) return { result: undefined, answer }
      const { generations } = await this.#model._generate(messages, own)
      return { result: undefined, answer: generations.map(keptOf) }
    })
    const own = told.hit || told.isShared ? newId(runManager?.runId) : undefined
    let id: string | undefined
    try {
      for await (const kept of isChunks(value) ? value : (value as ReadonlyArray<KeptGeneration>).slice(0, 1)) {
        const chunk = chunkOf(kept)
        if (own !== undefined) chunk.message._updateId(own)
        id = chunk.message.id
        yield chunk
        await runManager?.handleLLMNewToken(chunk.text, undefined, undefined, undefined, undefined, { chunk })
      }
    } catch (error) {
      options.signal?.throwIfAborted()
      throw error
    }
    yield chunkOf({ text: "", message: { content: "", id, response_metadata: { sabine: told } } })
  }

  get #streams(): boolean {
    return this.#model._streamResponseChunks !== BaseChatModel.prototype._streamResponseChunks
  }

  async #answered<R>(
    messages: ReadonlyArray<BaseMessage>,
    options: this["ParsedCallOptions"],
    askModel: Parameters<typeof answered<R>>[2]
  ) {
    const { signal } = options
    const parameters: typeof options & { promptIndex?: number } = { ...options }
    delete parameters.signal
    // The place of a prompt in its batch, which LangChain tells with the options of the call.
    delete parameters.promptIndex
    const { tenant, ...asking } = this.#options
    const invocation = this.#model.invocationParams(parameters)
    const request: CacheRequest = {
      tenant,
      model: this.#model._getSerializedCacheKeyParametersForCall(parameters),
      // Of some models what identifies them leaves out what they are called with.
      parameters: { langchain: "chat", invocation: JSON.stringify(invocation) },
      messages: await mapSliced(messages.length, undefined, (i) => cacheMessageOf(messages[i]!))
    }
    const facts: AskOptions["facts"] = async (answer, form) => {
      const kept = answer as ReadonlyArray<KeptGeneration>
      // Of a stream each is a piece of the text, otherwise an answer of its own.
      const texts = kept.map(({ text }) => text)
      const whole = form === "value" ? texts : [texts.join("")]
      const areAsAsked = await Promise.all(whole.map((text) => isAsAsked(text, parameters, invocation)))
      return { ...factsOf(kept, form), isUnvalidated: !areAsAsked.every(Boolean) }
    }
    return answered<R>(this.#cache, { request, options: { ...asking, facts, signal } }, askModel)
  }
}

/** A message without its id, which is another one each time. */
const cacheMessageOf = (message: BaseMessage): CacheMessage & Readonly<Record<string, unknown>> => {
  const { id, response_metadata, usage_metadata, content, ...others } = fieldsOf(message)
  const type = message.getType()
  return { role: type === "human" ? "user" : type, content, others: JSON.stringify(others) }
}

const isChunks = (value: unknown): value is AsyncIterable<KeptGeneration> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value

async function* chunksOf(chunks: AsyncIterable<ChatGenerationChunk>): AsyncGenerator<KeptGeneration> {
  for await (const chunk of chunks) yield keptOf(chunk)
}

/** An answer at once, whatever it was. */
const wholeOf = async (value: unknown, signal: AbortSignal | undefined): Promise<ChatResult> => {
  if (!isChunks(value)) {
    return { generations: (value as ReadonlyArray<KeptGeneration>).map(generationOf) as ChatResult["generations"] }
  }
  const chunks: Array<KeptGeneration> = []
  try {
    for await (const chunk of value) chunks.push(chunk)
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
  return resultOf(chunks)
}
