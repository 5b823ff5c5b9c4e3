/** Milliseconds since the process began: imported, opened, first entry added, first search done. */
import { published } from "../published.ts"

const times: Record<string, number> = { begun: performance.now() }
const { open } = await published()
times["imported"] = performance.now()
const db = await open(":memory:")
const collection = await db.collection("startup", { dimensions: 384 })
times["opened"] = performance.now()
const vector = Float32Array.from({ length: 384 }, (_, i) => i - 191.5)
await collection.add({ key: "first", vector })
times["added"] = performance.now()
await collection.search(vector)
times["searched"] = performance.now()
console.log(JSON.stringify(times))
await db.close()
