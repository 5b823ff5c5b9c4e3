/** The commands that look after a cache, as processes of their own. */
import assert from "node:assert/strict"
import { cp, mkdir, mkdtemp, open as openFile, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { gzipSync } from "node:zlib"
import {
  type CachedEntry,
  type CacheOptions,
  nearestVerifier,
  type SemanticCache,
  semanticCache
} from "../../src/cache.ts"
import { withCache } from "../../src/cli/cache/opened.ts"
import { leastProbability, open } from "../../src/index.ts"
import { sabine, sabineInto, sabineUnread } from "../command.ts"
import { degrees } from "./caches.ts"

let root: string
let whole: string
/** When the first entry was made. */
let began: number
let copies = 0

/** Opens the cache of a folder for some calls. */
const withFolder = async <A>(path: string, use: (cache: SemanticCache) => Promise<A>, options: CacheOptions = {}) => {
  await using db = await open(path)
  await using cache = await semanticCache(db, { embedder: degrees(), verifier: nearestVerifier(), ...options })
  return await use(cache)
}

const asking = (angle: number, tenant = "t") => ({ tenant, model: "m", prompt: `cat ${angle}` })
const HOUR = 3_600_000

before(async () => {
  root = await mkdtemp(join(tmpdir(), "sabine-cache-cli-"))
  whole = join(root, "whole")
  began = Date.now() - 5 * HOUR
  let clock = began
  await withFolder(
    whole,
    async (cache) => {
      for (let i = 0; i < 10; i++) {
        const tags = i < 3 ? ["early"] : ["late"]
        const facts = { inputTokens: 10, outputTokens: 2, tookMs: 100 }
        await cache.set(asking(10 * i, i < 5 ? "t" : "u"), { answer: i }, { tags, sources: [`doc${i % 2}`], ...facts })
        clock += HOUR / 2
      }
      await cache.set({ prompt: "dog 0" }, "over", { ttlMs: 1 })
      const hit = await cache.get(asking(3))
      assert.ok(hit.isHit)
      await hit.confirm()
    },
    { clock: () => clock }
  )
})
after(() => rm(root, { recursive: true }))

const copy = async (): Promise<string> => {
  const made = join(root, `copy-${++copies}`)
  await cp(whole, made, { recursive: true, preserveTimestamps: true })
  return made
}

const entriesIn = async (path: string): Promise<ReadonlyArray<string>> =>
  withFolder(path, async (cache) => {
    const texts: Array<string> = []
    for await (const { text } of cache.entries()) texts.push(text)
    return texts.sort()
  })

describe("sabine cache", () => {
  test("stats counts what is there", async () => {
    const folder = await copy()
    const { code, out } = await sabine("cache", "stats", folder)
    assert.equal(code, 0)
    assert.match(out, /^11 entries in 3 scopes, \d+ bytes\n/)
    assert.match(out, /\n1 of them expired\n/)
    assert.match(out, /they took 100 \+ 20 tokens/)
    assert.match(out, /callers found 0\.00 % of the hits wrong/)
    const { entries, bytes, scopes, made } = JSON.parse((await sabine("cache", "stats", "--json", folder)).out)
    assert.deepEqual([entries, Number.isInteger(bytes), scopes, made.ms], [11, true, 3, 1000])
  })

  test("list shows the newest first, and no answers", async () => {
    const folder = await copy()
    const { code, out } = await sabine("cache", "list", "--limit", "2", "--tag", "late", folder)
    assert.equal(code, 0)
    assert.match(out, /^\S{43} [0-9a-f]{8} \S+Z cat 90\n\S{43} [0-9a-f]{8} \S+Z cat 80\nand 5 more\n$/)
    const times = out.split("\n", 2).map((line) => Date.parse(line.split(" ")[2]!) - began)
    assert.deepEqual(times, [4.5 * HOUR, 4 * HOUR])
    const lines = (await sabine("cache", "list", "--json", "--source", "doc1", folder)).out.trimEnd().split("\n")
    const texts = lines.map((line) => JSON.parse(line)).map((entry) => [entry.text, "value" in entry])
    assert.deepEqual(
      texts,
      [90, 70, 50, 30, 10].map((angle) => [`cat ${angle}`, false])
    )
  })

  test("looking at a cache has no bound of bytes, so that nothing of it gives way", async () => {
    const bounds = await withCache(await copy(), "cache", async (cache) => cache.stats().maxBytes)
    assert.equal(bounds, Number.MAX_SAFE_INTEGER)
  })

  test("a collection that is none of a cache is refused and left as it is", async () => {
    const folder = join(root, "notes")
    await using db = await open(folder)
    const notes = (await db.collection("notes", { dimensions: 2, precision: "int8" })).namespace("acme")
    await notes.addMany([
      { key: "a", vector: [1, 0], payload: { text: "a" } },
      { key: "b", vector: [0, 1] }
    ])
    await db.close()
    const refused = await sabine("cache", "evict", folder, "--name", "notes", "--max-entries", "1")
    assert.match(refused.err, /the collection notes is not of a cache/)
    assert.equal(refused.code, 2)
    await using again = await open(folder)
    assert.equal((await again.collection("notes")).namespace("acme").size(), 2)
  })

  test("list cannot be made to control a terminal", async () => {
    const folder = join(root, "hostile")
    await withFolder(folder, (cache) => cache.set({ prompt: "cat 1\u001b[2J\n" }, 1, { vector: [1, 0, 0, 0, 0, 0] }))
    const { out } = await sabine("cache", "list", folder)
    assert.ok(out.endsWith(" cat 1 [2J \n"), out)
  })

  test("export prints every entry with its answer", async () => {
    const folder = await copy()
    const { code, out } = await sabine("cache", "export", folder)
    assert.equal(code, 0)
    const entries = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as CachedEntry)
    assert.equal(entries.length, 11)
    const first = entries.find(({ text }) => text === "cat 0")!
    assert.deepEqual(
      [first.value, first.notes.tags, first.form, first.tookMs],
      [{ answer: 0 }, ["early"], "value", 100]
    )
    const { scope } = first
    const those = await sabine("cache", "export", "--scope", scope, folder)
    assert.equal(those.out.trimEnd().split("\n").length, 5)
  })

  test("who reads an answer may stop at any line, and a full disk is told", async () => {
    const folder = await copy()
    await withFolder(folder, async (cache) => {
      for (let i = 0; i < 8; i++) await cache.set(asking(20 * i, "long"), "x".repeat(200_000))
    })
    for (const command of ["export", "list", "stats"]) {
      assert.deepEqual(await sabineUnread("cache", command, folder), { code: 0, err: "" }, command)
    }
    if (process.platform !== "linux") return
    const full = await openFile("/dev/full", "w")
    const { code, err } = await sabineInto(full.fd, "cache", "stats", folder)
    await full.close()
    assert.deepEqual([code, /ENOSPC/.test(err)], [2, true])
  })

  test("evict deletes what is over, then what is beyond the bounds, oldest first", async () => {
    const folder = await copy()
    assert.deepEqual((await sabine("cache", "evict", folder)).out, "1 entries deleted\n")
    assert.equal((await entriesIn(folder)).length, 10)
    const { code, out } = await sabine("cache", "evict", "--max-entries", "4", "--policy", "fifo", "--json", folder)
    assert.deepEqual([code, JSON.parse(out)], [0, { deleted: 6 }])
    assert.deepEqual(await entriesIn(folder), ["cat 60", "cat 70", "cat 80", "cat 90"])
  })

  test("invalidate deletes what all parts hold for", async () => {
    const folder = await copy()
    const invalidate = (...args: ReadonlyArray<string>) => sabine("cache", "invalidate", ...args, folder)
    assert.equal((await invalidate("--tag", "early", "--source", "doc0")).out, "2 entries deleted\n")
    assert.equal((await invalidate("--older-than", "3.5h", "--json")).out, '{"deleted":2}\n')
    assert.deepEqual(await entriesIn(folder), [40, 50, 60, 70, 80, 90].map((a) => `cat ${a}`).concat("dog 0"))
    const [line] = (await sabine("cache", "list", "--json", folder)).out.split("\n")
    const { key } = JSON.parse(line!)
    assert.equal((await invalidate("--key", key)).out, "1 entries deleted\n")
    const nothing = await invalidate()
    assert.equal(nothing.code, 2)
    assert.match(nothing.err, /wanted a key, tag, source, scope or age/)
    assert.equal((await entriesIn(folder)).length, 6)
    const { scope } = JSON.parse((await sabine("cache", "list", "--json", "--tag", "late", folder)).out.split("\n")[0]!)
    const start = scope.slice(0, 8).toUpperCase()
    assert.equal((await invalidate("--scope", start, "--source", "none")).out, "0 entries deleted\n")
    assert.equal((await invalidate("--scope", start, "--json")).out, '{"deleted":5}\n')
    assert.equal((await entriesIn(folder)).length, 1)
    const [left] = (await sabine("cache", "list", "--json", folder)).out.split("\n")
    assert.equal((await invalidate("--scope", JSON.parse(left!).scope)).out, "1 entries deleted\n")
    const wrong = await invalidate("--scope", "acme")
    assert.deepEqual([wrong.code, /hexadecimal/.test(wrong.err)], [2, true])
  })

  test("calibrate measures pairs and writes what the option calibration takes", async () => {
    const words = ["password", "invoice", "battery", "garden", "violin", "passport", "bicycle", "kitchen", "weather"]
    const verbs = ["change", "find", "repair", "sell", "clean"]
    const lines = words.flatMap((word) =>
      verbs.map((verb) => `1\tHow do I ${verb} my ${word}?\tHow can I ${verb} my ${word}?`)
    )
    const pairs = join(root, "pairs.tsv")
    await writeFile(pairs, `${lines.join("\n")}\n0\tWhere is my garden?\tWho sold my violin?\n`)
    const file = join(root, "calibration.json")
    const { code, out } = await sabine("cache", "calibrate", "--out", file, pairs)
    assert.equal(code, 0)
    assert.match(out, /^46 pairs, .*calibration\.json\n/)
    assert.match(out, /at most 5 % of look-ups wrong: /)
    const calibration = JSON.parse(await readFile(file, "utf8"))
    leastProbability(calibration, { maxFalseHitRate: 0.05, cached: 20 })
    await using db = await open(":memory:")
    await (await semanticCache(db, { maxFalseHitRate: 0.05, calibration })).close()
    const zipped = join(root, "pairs.tsv.gz")
    await writeFile(zipped, gzipSync(await readFile(pairs)))
    assert.deepEqual(JSON.parse((await sabine("cache", "calibrate", zipped)).out), calibration)
    await writeFile(pairs, `\ufeff${lines.join("\r\n")}\r\n0\tWhere is my garden?\tWho sold my violin?\r\n`)
    assert.deepEqual(JSON.parse((await sabine("cache", "calibrate", pairs)).out), calibration)
    await writeFile(pairs, "1\ta\tb\nyes\ta\tb\n")
    const wrong = await sabine("cache", "calibrate", pairs)
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, /pairs\.tsv, line 2: wanted a label/)
  })

  test("makes nothing where there is nothing, and leaves what is open", async () => {
    const absent = join(root, "absent")
    assert.equal((await sabine("cache", "stats", absent)).code, 2)
    assert.equal((await readdir(root)).includes("absent"), false)
    const empty = join(root, "empty")
    await mkdir(empty)
    assert.equal((await sabine("cache", "stats", empty)).code, 2)
    assert.deepEqual(await readdir(empty), [])
    const folder = await copy()
    const { code, err } = await sabine("cache", "list", "--name", "other", folder)
    assert.equal(code, 2)
    assert.match(err, /no collection other in .*: it has cache/)
    await using _ = await open(folder)
    const locked = await sabine("cache", "invalidate", "--tag", "early", folder)
    assert.equal(locked.code, 2)
    assert.match(locked.err, /is open in process/)
    const wrong = await sabine("cache", "invalidate", "--older-than", "soon", folder)
    assert.deepEqual([wrong.code, /such as 12h/.test(wrong.err)], [2, true])
  })
})
