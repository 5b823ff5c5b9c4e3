/** The system calls of a writer, as strace sees them: what is acknowledged has been flushed before. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { inRepository, program, run } from "../programs.ts"

const WRITES = 20
const WAL = "records.sqlite-wal"

/** Why there can be no trace; false where there can. */
const reason = (): string | false => {
  const { error, status, stderr } = spawnSync("strace", ["-o", "/dev/null", "true"], { encoding: "utf8" })
  if (error !== undefined) return "strace is not installed"
  return status !== 0 && `strace may not trace: ${stderr.trim()}`
}

/** The ends of calls that write to the log or flush it, and the beginnings of those that acknowledge, in order. */
const traceOf = async (durability: "full" | "relaxed"): Promise<ReadonlyArray<"write" | "flush" | "ack">> => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-strace-"))
  try {
    const [path, output] = [JSON.stringify(join(folder, "data")), join(folder, "trace")]
    await program(`
      import { spawnSync } from "node:child_process"
      const code = \`
        import { writeSync } from "node:fs"
        import { open } from SABINE
        const db = await open(\${JSON.stringify(${path})}, { durability: "${durability}" })
        const notes = await db.collection("notes", { dimensions: 2 })
        writeSync(1, "begin")
        for (let i = 0; i < ${WRITES}; i++) {
          await notes.add({ key: "k" + i, vector: [1, i] })
          writeSync(1, "acked")
        }
        writeSync(1, "end")
        await db.close()
      \`
      const calls = "trace=write,pwrite64,pwritev,fsync,fdatasync"
      const node = [process.execPath, "--input-type=module", "--eval", code]
      spawnSync("strace", ["-f", "-y", "-e", calls, "-o", ${JSON.stringify(output)}, ...node], { stdio: "inherit" })
    `)
    return eventsOf((await readFile(output, "utf8")).split("\n"))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const eventsOf = (lines: ReadonlyArray<string>): ReadonlyArray<"write" | "flush" | "ack"> => {
  const events: Array<"write" | "flush" | "ack"> = []
  /** What a thread is in the middle of. */
  const unfinished = new Map<string, string>()
  let began = false
  for (const line of lines) {
    const [, thread = "", text = ""] = /^(\d+) +(.*)$/.exec(line) ?? []
    const begins = text.endsWith("<unfinished ...>")
    if (begins) unfinished.set(thread, text)
    const ends = text.startsWith("<...")
    const call = ends ? `${unfinished.get(thread)}${text}` : text
    if (call.includes('"begin"')) began = true
    if (call.includes('"end"')) break
    if (!began) continue
    if (call.includes('"acked"')) {
      if (!ends) events.push("ack")
    } else if (begins || !call.includes(WAL)) continue
    else if (/^f(data)?sync\(/.test(call)) {
      assert.match(call, /= 0$/)
      events.push("flush")
    } else events.push("write")
  }
  return events
}

test("the event loop asks nothing of the disk", { skip: reason() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-strace-"))
  t.after(() => rm(folder, { recursive: true }))
  const code = `
    import { writeSync } from "node:fs"
    import { open, repair, verify } from ${JSON.stringify(import.meta.resolve("../../src/index.ts"))}
    const session = async (path) => {
      const db = await open(path)
      const notes = await db.collection("notes", { dimensions: 2 })
      await notes.add({ key: "a", vector: [1, 0], payload: { text: "a" } })
      await db.save()
      await notes.delete("a")
      await db.checkpoint("kept")
      await db.listCheckpoints()
      await db.compact()
      await db.export(path + ".archive")
      await db.restore("kept")
      await db.import(path + ".archive")
      await db.deleteCheckpoint("kept")
      await db.close()
      await verify(path)
      await repair(path)
      await (await open(path, { salvage: true })).close()
    }
    // What is loaded with the first use is no part of it.
    await session(${JSON.stringify(join(folder, "before"))})
    writeSync(1, "begin")
    await session(${JSON.stringify(join(folder, "data"))})`
  const output = join(folder, "trace")
  const node = [process.execPath, "--input-type=module", "--eval", code]
  await run("strace", ["-f", "-y", "-e", "trace=%file,%desc", "-o", output, ...node], inRepository("."))
  const lines = (await readFile(output, "utf8")).split("\n").map((line) => /^(\d+) +(.*)$/.exec(line) ?? [])
  const [, main] = lines[0]!
  const begin = lines.findIndex(([, , text]) => text?.includes('"begin"'))
  const asked = lines.slice(begin).filter(([, , text]) => text?.includes(join(folder, "data")))
  assert.ok(begin > 0 && asked.length > 100)
  const byMain = asked.filter(([, thread]) => thread === main).map(([line]) => line)
  assert.deepEqual(byMain, [])
})

test("a write is in the log and flushed before it is acknowledged", { skip: reason() }, async (t) => {
  const events = await traceOf("full")
  const acks = events.filter((event) => event === "ack").length
  assert.equal(acks, WRITES)
  for (const [i, event] of events.entries()) {
    if (event === "ack") assert.deepEqual(events.slice(i - 2, i), ["write", "flush"], events.join(" "))
  }
  t.diagnostic(JSON.stringify({ acks, flushes: events.filter((event) => event === "flush").length }))
  // What must not be so where nothing is flushed: the trace can tell.
  const relaxed = await traceOf("relaxed")
  assert.ok(!relaxed.includes("flush") && relaxed.includes("ack"), relaxed.join(" "))
})
