/** sqlite-vec in Node's own SQLite: brute force over vectors and over bits. */
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { load } from "sqlite-vec"
import { type Adapter, rowOf, type Task } from "../peer.ts"
import { versionOf } from "../version.ts"

/** Bytes of a page cache that no table here outgrows, as SQLite wants them: negative, in KiB. */
const CACHE_KIB = -1_000_000

const connected = (folder: string): DatabaseSync => {
  const database = new DatabaseSync(join(folder, "peers.sqlite"), { allowExtension: true })
  load(database)
  database.exec(`PRAGMA cache_size = ${CACHE_KIB}`)
  return database
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** The type of the column, and the expression of a parameter of it. */
const columnOf = (task: Task, width: number) =>
  task === "hamming" ? { type: `bit[${width * 8}]`, value: "vec_bit(?)" } : { type: `float[${width}]`, value: "?" }

export const adapter: Adapter = {
  version: versionOf("sqlite-vec"),
  configurations: [
    { name: "vec0 float", task: "exact", note: "through node:sqlite" },
    { name: "vec0 bit", task: "hamming", note: "through node:sqlite" }
  ],
  build: ({ task }, base, folder) => {
    const database = connected(folder)
    const { type, value } = columnOf(task, base.width)
    database.exec(`CREATE VIRTUAL TABLE rows USING vec0(entry ${type})`)
    const insert = database.prepare(`INSERT INTO rows(rowid, entry) VALUES (?, ${value})`)
    database.exec("BEGIN")
    for (let row = 0; row < base.rows; row++) insert.run(BigInt(row), bytesOf(rowOf(base, row)))
    database.exec("COMMIT")
    return { threads: 1, save: () => database.close() }
  },
  open: ({ task }, folder, { width }) => {
    const database = connected(folder)
    const { value } = columnOf(task, width)
    const select = database.prepare(`SELECT rowid FROM rows WHERE entry MATCH ${value} AND k = ?`)
    return {
      search: (query, k) => select.all(bytesOf(query), k).map(({ rowid }) => Number(rowid)),
      close: () => database.close()
    }
  }
}
