/** What is left of a database when it is closed, fails to start, or is ended by others: no thread, file or lock. */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, describe, test } from "node:test"
import { open } from "../src/index.ts"
import { inRepository, program } from "./programs.ts"

const folders: Array<string> = []
const folder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "sabine-close-"))
  folders.push(made)
  return made
}
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true }))))

const ENTRIES = 200
/** What a program writes. */
const WRITING = `
  const notes = await db.collection("notes", { dimensions: 2 })
  await notes.addMany(Array.from({ length: ${ENTRIES} }, (_, i) => ({ key: "k" + i, vector: [1, i] })))
  await notes.search([1, 0], { k: 1 })
`
/** Work for the build worker and the pool. */
const TRAINING = "await notes.train(Float32Array.from({ length: 600 }, (_, i) => Math.sin(i)))"
/** How many threads and open files a process has, where the system tells. */
const LEFT = `
  const fs = await import("node:fs")
  const left = () => process.platform !== "linux" ? { threads: 0, files: 0 } : {
    threads: fs.readdirSync("/proc/self/task").length,
    files: fs.readdirSync("/proc/self/fd").length
  }
`

/** What a folder holds that is closed. */
const CLOSED = /^(notes\.image|notes\.previous\.image|records\.sqlite|records\.sqlite\.clean)$/

/** Fails unless the folder opens with all that was written, can be written to, and is in order when it is closed. */
const assertOpensWhole = async (path: string): Promise<void> => {
  const db = await open(path)
  const notes = await db.collection("notes")
  assert.equal(notes.size(), ENTRIES)
  await notes.delete("k0")
  await notes.add({ key: "k0", vector: [1, 0] })
  await db.close()
  assert.deepEqual(
    (await readdir(path)).filter((name) => !CLOSED.test(name)),
    []
  )
}

/** A program that is running, and has said so. */
const started = async (code: string) => {
  const sources = JSON.stringify(import.meta.resolve("../src/index.ts"))
  const child = spawn(process.execPath, ["--input-type=module", "--eval", code.replaceAll("SABINE", sources)], {
    cwd: inRepository("."),
    stdio: ["ignore", "pipe", "inherit"]
  })
  const ended = once(child, "close")
  await Promise.race([once(child.stdout, "data"), ended])
  return { child, ended }
}

describe("after a close", () => {
  test("threads, files and lock are gone, whatever was under way, and the process ends", async () => {
    const path = await folder()
    const stdout = await program(`
      import { open } from SABINE
      ${LEFT}
      const session = async (path) => {
        const db = await open(path, { threads: 2 })
        ${WRITING}
        ${TRAINING}
        const busy = Promise.allSettled([db.save(), notes.addMany([{ key: "late", vector: [2, 1] }]), notes.search([1, 0])])
        await db.close()
        await busy
      }
      // Node starts threads of its own with the first work for them.
      await session(${JSON.stringify(await folder())})
      const before = left()
      await session(${JSON.stringify(path)})
      console.log(JSON.stringify([before, left()]))
    `)
    const [before, now] = JSON.parse(stdout)
    assert.deepEqual(now, before)
    assert.ok(!(await readdir(path)).includes("lock"))
  })

  test("again and again, memory is given back without being asked for", async () => {
    const stdout = await program(`
      import { open } from SABINE
      const path = ${JSON.stringify(await folder())}
      const [dimensions, count] = [512, 30_000]
      const vectors = Float32Array.from({ length: dimensions * count }, (_, i) => Math.sin(i))
      const session = async (use) => {
        const db = await open(path, { snapshots: false })
        await use(await db.collection("notes", { dimensions, index: "none" }), db)
        await db.close()
      }
      const keys = Array.from({ length: count }, (_, i) => "k" + i)
      await session((notes, db) => notes.addMany({ keys, vectors }).then(() => db.save()))
      const before = process.memoryUsage.rss()
      for (let i = 0; i < 14; i++) await session((notes) => notes.search(vectors.subarray(0, dimensions), { k: 1 }))
      console.log((process.memoryUsage.rss() - before) / vectors.byteLength)
    `)
    // Without a look at what is left of them it has all fourteen.
    assert.ok(Number(stdout) < 7, stdout)
  })

  test("single writes that were under way are done and kept, and the log is closed in order", async () => {
    const path = await folder()
    const db = await open(path)
    const notes = await db.collection("notes", { dimensions: 2 })
    await notes.add({ key: "old", vector: [1, 0] })
    const add = (key: string) => notes.add({ key, vector: [1, 1] })
    const writes = [add("a"), add("b")]
    await new Promise(setImmediate)
    // They wait: for the flush of those, for the first of their key, for whoever writes alone.
    writes.push(add("c"), notes.update({ key: "old", payload: 1 }), notes.update({ key: "old", payload: 2 }))
    const batch = Promise.allSettled([notes.addMany([{ key: "batch", vector: [2, 1] }])])
    writes.push(add("d"))
    const closing = db.close()
    await assert.rejects(add("late"), { _tag: "Closed" })
    await closing
    await batch
    await Promise.all(writes)
    assert.ok((await readdir(path)).includes("records.sqlite.clean"))
    const again = await open(path)
    const kept = await again.collection("notes")
    for (const key of ["a", "b", "c", "d"]) assert.ok(await kept.get(key), key)
    assert.equal((await kept.get("old"))?.payload, 2)
    await again.close()
  })

  test("the first writes of a collection are done and kept, too", async () => {
    const path = await folder()
    const db = await open(path)
    const notes = await db.collection("notes", { dimensions: 2 })
    const writes = ["a", "b"].map((key) => notes.add({ key, vector: [1, 0] }))
    await db.close()
    await Promise.all(writes)
    const again = await open(path)
    assert.equal((await again.collection("notes")).size(), 2)
    await again.close()
  })

  test("of a scope that is interrupted while it opens, the folder is free", async () => {
    const path = await folder()
    const opening = open(path)
    const db = await opening
    const collection = db.collection("notes", { dimensions: 2 })
    await Promise.all([db.close(), collection.catch(() => undefined)])
    await (await open(path)).close()
    assert.ok(!(await readdir(path)).includes("lock"))
  })
})

describe("when opening fails", { concurrency: 2 }, () => {
  /** What is wrong with a folder, and the tag that opening it or a collection fails with. */
  const FAULTS: ReadonlyArray<readonly [what: string, tag: string, damage: (path: string) => Promise<void>]> = [
    ["images without their log", "LogInvalid", (path) => writeFile(join(path, "notes.image"), "")],
    [
      "a file in place of the folder",
      "StorageFailure",
      async (path) => {
        await rm(path, { recursive: true })
        await writeFile(path, "")
      }
    ],
    [
      "a folder in place of the log",
      "StorageFailure",
      async (path) => void (await mkdir(join(path, "records.sqlite")))
    ],
    ["a log that is none", "LogInvalid", (path) => writeFile(join(path, "records.sqlite"), "text ".repeat(1000))],
    [
      "a log of a newer version",
      "LogInvalid",
      async (path) => {
        const sqlite = new DatabaseSync(join(path, "records.sqlite"))
        sqlite.exec("PRAGMA user_version = 99")
        sqlite.close()
      }
    ]
  ]
  test("no thread, file or lock is left, and the process ends", async () => {
    const paths = await Promise.all(
      FAULTS.map(async ([what, tag, damage]) => {
        const path = await folder()
        await damage(path)
        return { what, tag, path }
      })
    )
    const stdout = await program(`
      import { open } from SABINE
      ${LEFT}
      const tries = async (path) => {
        try {
          await using db = await open(path)
          ${WRITING}
          return "opened"
        } catch (error) {
          return error._tag
        }
      }
      const tags = []
      for (const { path } of ${JSON.stringify(paths)}) tags.push(await tries(path))
      const before = left()
      for (const { path } of ${JSON.stringify(paths)}) await tries(path)
      console.log(JSON.stringify({ tags, before, now: left() }))
    `)
    const { tags, before, now } = JSON.parse(stdout)
    assert.deepEqual(
      tags,
      paths.map(({ tag }) => tag),
      JSON.stringify(paths.map(({ what }) => what))
    )
    assert.deepEqual(now, before)
    for (const { path } of paths) {
      const names: ReadonlyArray<string> = await readdir(path).catch(() => [])
      assert.ok(!names.includes("lock"), path)
    }
  })

  const isRoot = process.getuid?.() === 0
  test("a folder that may not be written to is refused and left as it is", {
    skip: process.platform === "win32"
  }, async () => {
    const path = await folder()
    await program(
      `import { open } from SABINE; const db = await open(${JSON.stringify(path)}); ${WRITING} await db.close()`
    )
    const before = await readdir(path)
    await chmod(path, 0o500)
    // Nothing is refused to the superuser: the process gives that up first.
    const asNobody = isRoot ? "process.setgroups([]); process.setgid(65534); process.setuid(65534)" : ""
    if (isRoot) await chmod(path, 0o555)
    const stdout = await program(`
      import { open } from SABINE
      ${asNobody}
      await open(${JSON.stringify(path)}).catch((error) => console.log(error._tag, error.code))
    `)
    assert.equal(stdout.trim(), "StorageFailure EACCES")
    assert.deepEqual(await readdir(path), before)
    await chmod(path, 0o700)
    await assertOpensWhole(path)
  })

  test("a folder that may not be written to is verified, its write-ahead log too, unless somebody has it", {
    skip: process.platform === "win32"
  }, async (t) => {
    const path = await folder()
    await program(
      `import { open } from SABINE; const db = await open(${JSON.stringify(path)}); ${WRITING}
       process.kill(process.pid, "SIGKILL")`
    ).catch(() => undefined)
    const before = await readdir(path)
    assert.ok(before.includes("records.sqlite-wal") && !before.includes("records.sqlite-shm"))
    const verified = () =>
      program(`
        import { verify } from SABINE
        ${isRoot ? "process.setgroups([]); process.setgid(65534); process.setuid(65534)" : ""}
        await verify(${JSON.stringify(path)}).then(
          ({ faults }) => console.log(JSON.stringify(faults)),
          (error) => console.log(error._tag)
        )
      `)
    t.after(() => chmod(path, 0o700))
    await chmod(path, isRoot ? 0o555 : 0o500)
    assert.equal((await verified()).trim(), "[]")
    assert.deepEqual(await readdir(path), before)
    await chmod(path, 0o700)
    await using _ = await open(path)
    await chmod(path, isRoot ? 0o555 : 0o500)
    assert.equal((await verified()).trim(), "FolderLocked")
    await chmod(path, 0o700)
  })
})

describe("a process that does not close", { concurrency: 2 }, () => {
  const opening = (path: string, after: string) => `
    import { open } from SABINE
    const db = await open(${JSON.stringify(path)})
    ${WRITING}
    ${after}
  `

  for (const [what, listening, result] of [
    ["ends by it without a listener of its own", "", [null, "SIGTERM"]],
    [
      "closes in a listener of its own",
      "process.once('SIGTERM', () => db.close().then(() => clearInterval(waiting)))",
      [0, null]
    ],
    ["exits in a listener of its own", "process.on('SIGTERM', () => process.exit(7))", [7, null]]
  ] as const) {
    test(`and gets SIGTERM ${what}, and leaves no lock`, { skip: process.platform === "win32" }, async () => {
      const path = await folder()
      const waiting = "const waiting = setInterval(() => undefined, 1000); console.log('written')"
      const { child, ended } = await started(opening(path, `${listening}\n${waiting}`))
      child.kill("SIGTERM")
      assert.deepEqual(await ended, result)
      assert.ok(!(await readdir(path)).includes("lock"))
      await assertOpensWhole(path)
    })
  }

  for (const [what, ending] of [
    ["exits", "process.exit(0)"],
    ["throws", "setImmediate(() => { throw new Error('meant') })"],
    ["forgets the database", "console.log('written')"]
  ] as const) {
    test(`because it ${what} leaves no lock`, async () => {
      const path = await folder()
      await program(opening(path, ending)).catch((error: Error) => assert.match(error.message, /meant/))
      assert.ok(!(await readdir(path)).includes("lock"))
      await assertOpensWhole(path)
    })
  }

  test("because it is killed holds nobody up", async () => {
    const path = await folder()
    const { child, ended } = await started(opening(path, "setInterval(() => undefined, 1000); console.log('written')"))
    child.kill("SIGKILL")
    await ended
    assert.ok((await readdir(path)).includes("lock"))
    for (const name of ["notes.image.tmp", "records.sqlite.clean.tmp"]) await writeFile(join(path, name), "half")
    await assertOpensWhole(path)
  })
})

describe("a thread that opened a database and", { concurrency: 2 }, () => {
  for (const [what, ending] of [
    ["throws", "throw new Error('meant')"],
    ["exits", "process.exit(3)"],
    [
      "is terminated while it writes",
      "parentPort.postMessage('written'); for (let i = 0; ; i++) await notes.update({ key: 'k1', vector: [1, i] })"
    ]
  ] as const) {
    const skip = what.startsWith("is terminated") && process.platform !== "linux" && "only /proc tells of threads"
    test(`${what} leaves no thread or file to its process, and locks nobody out`, { skip }, async () => {
      const path = await folder()
      const stdout = await program(`
        import { Worker } from "node:worker_threads"
        import { open } from SABINE
        ${LEFT}
        const crash = async (path) => {
          const worker = new Worker(\`
            import { parentPort } from "node:worker_threads"
            import { open } from SABINE
            const db = await open("\${path}", { threads: 1 })
            ${WRITING}
            ${TRAINING}
            ${ending}
          \`, { eval: true })
          worker.on("error", () => undefined)
          worker.on("message", () => worker.terminate())
          await new Promise((resolve) => worker.on("exit", resolve))
        }
        await (await open(${JSON.stringify(await folder())})).close()
        await crash(${JSON.stringify(await folder())})
        const before = left()
        await crash(${JSON.stringify(path)})
        const [now, isLocked] = [left(), fs.existsSync(${JSON.stringify(join(path, "lock"))})]
        const db = await open(${JSON.stringify(path)})
        const notes = await db.collection("notes")
        console.log(JSON.stringify({ before, now, isLocked, size: notes.size() }))
        await db.close()
      `)
      const { before, now, isLocked, size } = JSON.parse(stdout)
      assert.deepEqual(now, before)
      // A thread that is terminated runs nothing any more: its lock is there, and is taken over.
      assert.equal(isLocked, what.startsWith("is terminated"))
      assert.equal(size, ENTRIES)
      await assertOpensWhole(path)
    })
  }
})
