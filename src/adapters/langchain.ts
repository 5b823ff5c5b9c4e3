/**
 * The door of LangChain: its cache, its vector store, its embeddings and a chat model, all on Sabine. `@langchain/core` is
 * an optional peer.
 */

export type { SabineMetadata } from "./answered.ts"
export { SabineCache, type SabineCacheOptions } from "./langchain/cache.ts"
export { CachedChatModel, type CachedChatModelOptions, cachedChatModel } from "./langchain/chat-model.ts"
export { SabineEmbeddings } from "./langchain/embeddings.ts"
export { SabineVectorStore, type SabineVectorStoreOptions } from "./langchain/vector-store.ts"
