/** The parts of the peers' interfaces that the adapters use: the main package checks its types without installing them. */

declare module "usearch" {
  interface Found {
    readonly keys: BigUint64Array
  }
  class Index {
    constructor(options: {
      readonly dimensions: number
      readonly metric: "ip"
      readonly quantization: "f32" | "i8"
      readonly connectivity: number
      readonly expansion_add: number
      readonly expansion_search: number
      readonly multi: boolean
    })
    add(keys: BigUint64Array, vectors: Float32Array, threads: number): void
    search(vectors: Float32Array, k: number, threads: number): Found
    save(path: string): void
    load(path: string): void
    view(path: string): void
  }
  const usearch: {
    readonly Index: typeof Index
    exactSearch(
      base: Float32Array,
      queries: Float32Array,
      dimensions: number,
      k: number,
      metric: "ip",
      threads: number
    ): Found
  }
  export default usearch
}

declare module "hnswlib-node" {
  class Searchable {
    constructor(space: "ip", dimensions: number)
    addPoint(point: ReadonlyArray<number>, label: number): void
    searchKnn(query: ReadonlyArray<number>, k: number): { readonly neighbors: ReadonlyArray<number> }
    readIndexSync(path: string): void
    writeIndexSync(path: string): void
  }
  class BruteforceSearch extends Searchable {
    initIndex(rows: number): void
  }
  class HierarchicalNSW extends Searchable {
    initIndex(rows: number, m: number, efConstruction: number): void
    setEf(ef: number): void
  }
  const hnswlib: {
    readonly BruteforceSearch: typeof BruteforceSearch
    readonly HierarchicalNSW: typeof HierarchicalNSW
  }
  export default hnswlib
}

declare module "@zvec/zvec" {
  interface Query {
    readonly fieldName: string
    readonly vector: Float32Array
    readonly topk: number
    readonly outputFields: ReadonlyArray<string>
    readonly params?: { readonly indexType: number; readonly isUsingRefiner: boolean; readonly [name: string]: unknown }
  }
  interface Document {
    readonly id: string
  }
  interface Collection {
    insertSync(
      documents: ReadonlyArray<Document & { readonly vectors: Readonly<Record<string, Float32Array>> }>
    ): ReadonlyArray<{ readonly ok: boolean; readonly message: string }>
    optimizeSync(options: { readonly concurrency: number }): void
    querySync(query: Query): ReadonlyArray<Document>
    query(query: Query): Promise<ReadonlyArray<Document>>
    closeSync(): void
  }
  class ZVecCollectionSchema {
    constructor(schema: {
      readonly name: string
      readonly vectors: {
        readonly name: string
        readonly dataType: number
        readonly dimension: number
        readonly indexParams: { readonly indexType: number; readonly metricType: number }
      }
    })
  }
  const zvec: {
    readonly ZVecIndexType: Readonly<Record<"HNSW" | "HNSW_RABITQ" | "IVF_RABITQ" | "FLAT", number>>
    readonly ZVecMetricType: Readonly<Record<"IP", number>>
    readonly ZVecDataType: Readonly<Record<"VECTOR_FP32", number>>
    readonly ZVecCollectionSchema: typeof ZVecCollectionSchema
    ZVecInitialize(options: { readonly queryThreads: number; readonly optimizeThreads: number }): void
    ZVecCreateAndOpen(path: string, schema: ZVecCollectionSchema): Collection
    ZVecOpen(path: string, options: { readonly readOnly: boolean; readonly enableMMAP: boolean }): Collection
  }
  export default zvec
}

declare module "sqlite-vec" {
  import type { DatabaseSync } from "node:sqlite"
  export function load(database: DatabaseSync): void
}

declare module "@lancedb/lancedb" {
  interface Row {
    readonly id: number
  }
  interface VectorQuery {
    distanceType(type: "dot"): VectorQuery
    limit(k: number): VectorQuery
    nprobes(lists: number): VectorQuery
    refineFactor(factor: number): VectorQuery
    ef(candidates: number): VectorQuery
    select(columns: ReadonlyArray<string>): VectorQuery
    toArray(): Promise<ReadonlyArray<Row>>
  }
  type Records = ReadonlyArray<Row & { readonly vector: ReadonlyArray<number> }>
  interface Table {
    add(records: Records): Promise<unknown>
    createIndex(column: string, options: { readonly config: IndexConfiguration }): Promise<void>
    vectorSearch(query: Float32Array): VectorQuery
    close(): void
  }
  interface Connection {
    createTable(name: string, records: Records): Promise<Table>
    openTable(name: string): Promise<Table>
  }
  interface IndexConfiguration {
    readonly distanceType: "dot"
  }
  export const Index: {
    ivfPq(
      options: IndexConfiguration & { readonly numPartitions: number; readonly numSubVectors: number }
    ): IndexConfiguration
    hnswSq(
      options: IndexConfiguration & {
        readonly numPartitions: number
        readonly m: number
        readonly efConstruction: number
      }
    ): IndexConfiguration
  }
  export function connect(folder: string): Promise<Connection>
}

declare module "vectra" {
  interface Item {
    readonly id: string
  }
  export class ProtobufCodec {}
  export class LocalIndex {
    constructor(folder: string, name?: string, storage?: object, codec?: ProtobufCodec)
    createIndex(options: { readonly version: number; readonly deleteIfExists: boolean }): Promise<void>
    beginUpdate(): Promise<void>
    insertItem(item: Item & { readonly vector: ReadonlyArray<number>; readonly metadata: object }): Promise<unknown>
    endUpdate(): Promise<void>
    queryItems(
      vector: ReadonlyArray<number>,
      query: string,
      k: number
    ): Promise<ReadonlyArray<{ readonly item: Item; readonly score: number }>>
  }
}

declare module "@orama/orama" {
  interface Database {
    readonly schema: Readonly<Record<string, string>>
  }
  interface Entry {
    readonly id: string
  }
  export function create(options: { readonly schema: Readonly<Record<string, string>> }): Database
  export function insertMultiple(
    database: Database,
    entries: ReadonlyArray<Entry & { readonly embedding: ReadonlyArray<number> }>,
    batch: number
  ): Promise<unknown>
  export function search(
    database: Database,
    options: {
      readonly mode: "vector"
      readonly vector: { readonly value: ReadonlyArray<number>; readonly property: string }
      readonly similarity: number
      readonly limit: number
    }
  ): Promise<{ readonly hits: ReadonlyArray<Entry> }>
}
