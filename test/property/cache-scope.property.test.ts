/** Scopes of a cache never meet, however near their questions are. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { type CacheRequest, nearestVerifier, semanticCache } from "../../src/cache.ts"
import { open } from "../../src/index.ts"
import { askedAtOnce } from "../cache/caches.ts"

/** What is near is the same: only scopes are left to tell requests apart. */
const OPTIONS = { dimensions: 2, verifier: nearestVerifier() }
const SAME = { vector: [1, 0] }
const LEAST_PAIRS = 100_000

/** Requests that ask the same in every combination of what makes a scope. */
const everyScope = (): ReadonlyArray<CacheRequest> => {
  const scopes: Array<CacheRequest> = []
  for (const tenant of [undefined, "acme", "Acme", ""]) {
    for (const model of ["small", "large"]) {
      for (const system of [undefined, "Be brief.", "Be brief. "]) {
        for (const parameters of [undefined, { temperature: 0 }, { temperature: 0.1 }, { seed: 0 }]) {
          for (const tools of [undefined, [{ name: "search" }]]) {
            for (const before of [[], [{ role: "assistant", content: "yes?" }]]) {
              const messages = [...before, { role: "user", content: "?" }]
              scopes.push({ tenant, model, system, parameters, tools, messages })
            }
          }
        }
      }
    }
  }
  return scopes
}

const asking = ({ messages, ...scope }: CacheRequest, content: string): CacheRequest => ({
  ...scope,
  messages: messages!.with(-1, { role: "user", content })
})

test(`${LEAST_PAIRS} pairs of questions with a similarity of 1 across scopes, and no answer leaks`, async () => {
  const scopes = everyScope()
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { ...OPTIONS, threshold: 0.5 })
  // Those of odd places have no answer of their own to fall back on.
  const kept = scopes.map((_, i) => i).filter((i) => i % 2 === 0)
  await Promise.all(kept.map((i) => cache.set(asking(scopes[i]!, "how?"), i, SAME)))
  let pairs = 0
  for (const question of ["how?", "in what way?", "how"]) {
    const found = await Promise.all(scopes.map((scope) => cache.get(asking(scope, question), SAME)))
    for (const [i, one] of found.entries()) {
      pairs += kept.length - (i % 2 === 0 ? 1 : 0)
      if (i % 2 === 0) assert.equal(one.isHit && one.value, i)
      else assert.equal(one.isHit, false)
    }
  }
  assert.ok(pairs >= LEAST_PAIRS, `${pairs} pairs`)
})

test("scopes whose hashes begin alike share a namespace, and never an answer", async () => {
  const byNamespace = new Map<string, Array<CacheRequest>>()
  for (let i = 0; i < 100_000; i++) {
    const request = { model: `m${i}`, prompt: "how?" }
    const { namespace } = askedAtOnce(request)
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), request])
  }
  const crowd = [...byNamespace.values()].reduce((most, group) => (group.length > most.length ? group : most))
  assert.ok(crowd.length > 5, `${crowd.length} in the fullest namespace`)
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { ...OPTIONS, candidates: 2 })
  const [absent, ...kept] = crowd
  await Promise.all(kept.map((request, i) => cache.set(request, i, SAME)))
  for (const [i, request] of kept.entries()) {
    const found = await cache.get({ ...request, prompt: "in what way?" }, SAME)
    assert.deepEqual([found.isHit, found.isHit && found.value], [true, i])
  }
  assert.equal((await cache.get({ ...absent!, prompt: "in what way?" }, SAME)).isHit, false)
})

const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.uint8Array({ maxLength: 3 }))
const content = fc.oneof(
  fc.string(),
  fc.array(fc.oneof(fc.record({ type: fc.constant("text"), text: fc.string() }), fc.dictionary(fc.string(), value)), {
    maxLength: 3
  })
)
const message = fc.record({ role: fc.constantFrom("user", "assistant", "tool"), content })
const request: fc.Arbitrary<CacheRequest> = fc.record(
  {
    tenant: fc.string(),
    model: fc.string(),
    system: value,
    tools: fc.array(fc.dictionary(fc.string(), value), { maxLength: 2 }),
    parameters: fc.dictionary(fc.string(), value, { maxKeys: 3 }),
    messages: fc.array(message, { minLength: 1, maxLength: 4 })
  },
  { requiredKeys: ["messages"] }
)

/** The request without the text of the last message of the user, in a form that keeps all the rest. */
const rest = ({ messages = [], ...scope }: CacheRequest): unknown => {
  const at = messages.findLastIndex(({ role }) => role === "user")
  const isText = (part: unknown) => (part as { type?: unknown })?.type === "text"
  const others = messages.map((one, i) => {
    if (i !== at) return one
    const parts = typeof one.content === "string" ? [{ type: "text", text: "" }] : (one.content as Array<object>)
    return { ...one, content: parts.map((part) => (isText(part) ? { ...part, text: "" } : part)) }
  })
  return [scope.tenant ?? null, scope.model ?? null, scope.system ?? null, scope.tools, scope.parameters, others]
}

const bytesAsText = (_: string, part: unknown) => (part instanceof Uint8Array ? `bytes ${part.join()}` : part)

test("two requests have one scope exactly when all but the last text of the user is the same", () => {
  fc.assert(
    fc.property(request, request, fc.boolean(), (a, other, isNear) => {
      // Often one that differs in one part.
      const b: CacheRequest = isNear
        ? { ...a, ...(Object.keys(other).length > 2 ? { model: other.model } : {}) }
        : other
      const sorted = (of: CacheRequest) =>
        JSON.stringify(rest(of), (name, part) => {
          const plain = bytesAsText(name, part)
          if (typeof plain !== "object" || plain === null || Array.isArray(plain)) return plain
          return Object.fromEntries(Object.entries(plain).sort(([x], [y]) => (x < y ? -1 : 1)))
        })
      const isSame = askedAtOnce(a).scope.equals(askedAtOnce(b).scope)
      assert.equal(isSame, sorted(a) === sorted(b))
    }),
    { numRuns: 2000 }
  )
})

test("the order of properties is nothing, and every other difference is a difference", () => {
  const scopeOf = (parameters: Readonly<Record<string, unknown>>) =>
    askedAtOnce({ prompt: "how?", parameters }).scope.toString("hex")
  assert.equal(scopeOf({ a: 1, b: { c: 2, d: 3 } }), scopeOf({ b: { d: 3, c: 2 }, a: 1 }))
  const different = [
    {},
    { a: null },
    { a: 0 },
    { a: "0" },
    { a: [] },
    { a: {} },
    { a: [null] },
    { a: false },
    { a: new Uint8Array() },
    { a: new Uint8Array(1) },
    { a: "\u00e9" },
    { a: "e\u0301" }
  ].map(scopeOf)
  assert.equal(new Set(different).size, different.length)
})
