/** What both doors export: the types that callers name, the embedders, and every error. */

export * from "./core/cache/verifying.ts"
export type { Calibration, Setting } from "./core/calibration.ts"
export type { ArchiveContents, ArchiveFormat, ExportOptions, ImportOptions } from "./core/checkpoint/archive.ts"
export type { Checkpoint } from "./core/checkpoint/manifest.ts"
export type { AttachOptions } from "./core/collection/attached.ts"
export type { EntryColumns } from "./core/collection/batch.ts"
export type { BuildIndexOptions, CompactOptions } from "./core/collection/collection.ts"
export type { CompactionResult } from "./core/collection/compacting.ts"
export type { OnTraining } from "./core/collection/encoding.ts"
export type { Entry, EntryInput, Payload } from "./core/collection/entries.ts"
export type { FieldInput, FieldInputColumns, FieldValues } from "./core/collection/fields.ts"
export type { OnProgress } from "./core/collection/ingest.ts"
export type { OnIndexProgress } from "./core/collection/linking.ts"
export type {
  Codes,
  CollectionOptions,
  CollectionShape,
  HnswOptions,
  IndexChoice,
  PqOptions
} from "./core/collection/options.ts"
export type { Hit, HitColumns } from "./core/collection/read.ts"
export type { Query } from "./core/collection/reading.ts"
export type { CollectionHandle, Share } from "./core/collection/share.ts"
export type { CollectionStats, HnswStats } from "./core/collection/stats.ts"
export type { TrainOptions } from "./core/collection/training.ts"
export type { AddManyOptions } from "./core/collection/writing.ts"
export type { DatabaseOptions, Durability } from "./core/database.ts"
export type { AiEmbeddingModel } from "./core/embed/ai-model.ts"
export { type CachedEmbedder, cachedEmbedder } from "./core/embed/cached.ts"
export type { Clock } from "./core/embed/clock.ts"
export type { Embedder, EmbedOptions, RunTask } from "./core/embed/embedder.ts"
export { type HashEmbedderOptions, hashEmbedder } from "./core/embed/hash.ts"
export type { LangChainEmbeddings } from "./core/embed/langchain.ts"
export { type OllamaOptions, type OllamaPrefixes, ollamaEmbedder } from "./core/embed/ollama.ts"
export type { EmbedderOfOptions } from "./core/embed/open-embedder.ts"
export { type OpenAiOptions, openaiEmbedder } from "./core/embed/openai.ts"
export {
  QueryCache,
  type QueryCacheOptions,
  type QueryCacheStats,
  type VectorQueryCacheOptions
} from "./core/embed/query-cache.ts"
export { type CustomEmbedder, type EmbedderSource, type EmbedFunction, embedderOf } from "./core/embed/source.ts"
export { staticEmbedder } from "./core/embed/static.ts"
export type { EmbedderUsage, MeteredEmbedder } from "./core/embed/usage.ts"
export * from "./core/errors.ts"
export type { ImportedCache, ImportedEntry } from "./core/import/binary-semantic-cache.ts"
export type { Salvage, SalvageOptions } from "./core/salvage/salvage.ts"
export type { Fault, Verification, VerifyOptions } from "./core/salvage/verify.ts"
export type { SnapshotOptions } from "./core/saving.ts"
export type { Condition, Filter, FilterValue } from "./core/search/filter/filter.ts"
export type { MmrOptions, Mode, SearchOptions } from "./core/search/options.ts"
export type { FieldType, FieldTypes, Metric, PqShape, Precision, Rotation } from "./core/store/layout.ts"
export type { ColumnBytes } from "./core/store/store.ts"
