/** Requests of any length: what they are hashed as, and that nobody waits for it. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import type { CacheRequest } from "../../src/cache.ts"
import { askedOf } from "../../src/core/cache/request.ts"
import { turnsOf } from "../turns.ts"
import { ask, withCache } from "./caches.ts"

/** JSON with sorted properties, and bytes as base64 behind a b. */
const textOf = (value: unknown): string => {
  if (value instanceof Uint8Array) return `b"${Buffer.from(value).toString("base64")}"`
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item ?? null)).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const parts = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${parts.map(([name, part]) => `${JSON.stringify(name)}:${textOf(part)}`).join(",")}}`
}
const sha = (text: string) => createHash("sha256").update(text)
const NO_TEXT = new Uint8Array()

/** Characters of two units at every place a share can end, and halves that are alone. */
const hostile = (shift: number, characters: number) => `${"x".repeat(shift)}${"🔑é\ud800".repeat(characters / 4)}`

const user = (content: unknown) => [{ role: "user", content }]
const bytes = Uint8Array.from({ length: 300_001 }, (_, i) => i * 7)
const LONG: ReadonlyArray<readonly [name: string, request: CacheRequest, scope: ReadonlyArray<unknown>, text: string]> =
  [
    ...[0, 1, 2, 3].map((shift) => {
      const prompt = hostile(shift, 400_000)
      return [`a text, ${shift}`, { prompt }, [null, null, null, null, null, user(NO_TEXT)], prompt] as const
    }),
    ...[0, 1, 2].map((cut) => {
      const image = bytes.subarray(cut)
      const messages = user([
        { type: "image", image },
        { type: "text", text: "what?" }
      ])
      const rest = user([
        { type: "image", image },
        { type: "text", text: NO_TEXT }
      ])
      return [`an image, ${cut}`, { messages }, [null, null, null, null, null, rest], "what?"] as const
    }),
    (() => {
      const earlier = Array.from({ length: 20_000 }, (_, i) => ({ role: "assistant", content: `message ${i}` }))
      const messages = [...earlier, ...user("what?")]
      const tools = hostile(1, 100_000)
      return [
        "messages",
        { tenant: "t", model: "m", tools, parameters: { b: 1, a: [1.5, -0, true] }, messages },
        ["t", "m", null, tools, { b: 1, a: [1.5, -0, true] }, [...earlier, ...user(NO_TEXT)]],
        "what?"
      ] as const
    })()
  ]

test("what a request is hashed as stays the same, whatever its length: entries are found by it", async () => {
  for (const [name, request, rest, text] of LONG) {
    const { scope, key } = await askedOf(request, undefined)
    const hex = sha(textOf(rest)).digest("hex")
    assert.equal(scope.toString("hex"), hex, name)
    assert.equal(key, sha(`${hex}${JSON.stringify(text.normalize("NFC"))}`).digest("base64url"), name)
  }
  const wrong = { messages: [...user("x".repeat(200_000)), ...user("b")], parameters: { a: [1, { b: 1n }] } }
  await assert.rejects(async () => askedOf(wrong, undefined), { parameter: "request[4].a[1].b" })
  await assert.rejects(async () => askedOf({ prompt: "a", tools: [["x".repeat(200_000), Number.NaN]] }, undefined), {
    parameter: "request[3][0][1]"
  })
})

test("a long request is hashed in turns of the event loop", async () => {
  for (const [name, request, rest, text] of LONG) {
    const characters = textOf(rest).length + text.length
    const turns = await turnsOf(async () => askedOf(request, undefined))
    assert.ok(turns > characters / 100_000, `${name}: ${turns} turns for ${characters} characters`)
  }
})

test("a long request is found, asked once, kept, not kept when it was invalidated meanwhile, and invalidated", async () => {
  await withCache({}, async ({ cache }) => {
    const before = { role: "system", content: "x".repeat(1_000_000) }
    const request = (prompt: string) => ({ messages: [before, ...user(prompt)] })
    const setting = cache.set(request("cat 0"), 1, { tags: ["t"] })
    assert.equal(await cache.invalidate({ tag: "t" }), 0)
    assert.deepEqual((await setting).isKept, false)
    let calls = 0
    const model = cache.wrap(async () => ++calls)
    const answers = await Promise.all([model(request("cat 0")), model(request("cat 0")), model(ask("cat 0"))])
    assert.deepEqual(
      [answers[0].value === answers[1].value, answers[0].value !== answers[2].value, calls],
      [true, true, 2]
    )
    assert.equal((await cache.get(request("cat 5"))).isHit, true)
    assert.equal(await cache.invalidate({ scope: request("dog 0") }), 1)
    assert.equal(cache.stats().entries, 1)
  })
})
