/** Calibrations: the setting that a level of recall leads to, and what a file may not say. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { bestSetting, type Calibration, isCalibration, type Setting, settingFor } from "../src/core/calibration.ts"
import { MODE } from "../src/core/kernels/shape.ts"

const setting = (mode: number, nprobe: number, rerank: number, recall: number): Setting => ({
  mode,
  nprobe,
  rerank,
  recall,
  error: 0.001,
  us: 100 * recall
})

const measured: Calibration = {
  rows: 5000,
  queries: 256,
  curves: [
    {
      k: 10,
      settings: [setting(MODE.ivf, 4, 32, 0.95), setting(MODE.ivf, 16, 64, 0.98), setting(MODE.flat, 0, 128, 0.995)]
    },
    { k: 100, settings: [setting(MODE.ivf, 16, 200, 0.96), setting(MODE.flat, 0, 512, 0.99)] }
  ]
}

test("the cheapest setting is taken whose misses are well within those allowed", () => {
  assert.deepEqual(settingFor(measured, 10, 0.93), { mode: MODE.ivf, nprobe: 4, rerank: 32 })
  assert.deepEqual(settingFor(measured, 10, 0.95), { mode: MODE.ivf, nprobe: 16, rerank: 64 })
  assert.deepEqual(settingFor(measured, 3, 0.99), { mode: MODE.flat, nprobe: 0, rerank: 128 })
  assert.equal(settingFor(measured, 10, 0.999), undefined)
  assert.deepEqual(bestSetting(measured, 10), { mode: MODE.flat, nprobe: 0, rerank: 128 })
})

test("where no setting finds half of the nearest, all are scored", () => {
  const poor = (recall: number) => ({ ...measured, curves: [{ k: 10, settings: [setting(MODE.flat, 0, 64, recall)] }] })
  assert.deepEqual(bestSetting(poor(0.5), 10), { mode: MODE.flat, nprobe: 0, rerank: 64 })
  assert.deepEqual(bestSetting(poor(0.49), 10), { mode: MODE.exact, nprobe: 0, rerank: 0 })
  assert.equal(bestSetting(poor(0.49), 11), undefined)
})

test("a margin goes with its setting", () => {
  const narrow = { ...setting(MODE.ivf, 16, 64, 0.98), margin: 0.125 }
  const found = settingFor({ ...measured, curves: [{ k: 10, settings: [narrow] }] }, 10, 0.95)
  assert.deepEqual(found, { mode: MODE.ivf, nprobe: 16, margin: 0.125, rerank: 64 })
})

test("beyond the deepest curve lists are left out, and depth grows with the hits", () => {
  assert.deepEqual(settingFor(measured, 100, 0.9), { mode: MODE.ivf, nprobe: 16, rerank: 200 })
  assert.deepEqual(settingFor(measured, 200, 0.9), { mode: MODE.flat, nprobe: 0, rerank: 1024 })
})

test("a walk is taken where it may be, costs less, and the sample tells its misses from none", () => {
  const walked = { ...setting(MODE.hnsw, 0, 16, 0.999), efSearch: 48, us: 20 }
  const withWalks = (us: number): Calibration => ({
    ...measured,
    walks: [{ k: 10, settings: [{ ...walked, us }] }]
  })
  const chosen = { mode: MODE.hnsw, nprobe: 0, rerank: 16, efSearch: 48 }
  assert.deepEqual(settingFor(withWalks(20), 10, 0.95, true), chosen)
  assert.deepEqual(settingFor(withWalks(20), 10, 0.95), settingFor(measured, 10, 0.95))
  assert.deepEqual(settingFor(withWalks(99), 10, 0.95, true), settingFor(measured, 10, 0.95))
  assert.deepEqual(settingFor(withWalks(20), 11, 0.9, true), settingFor(measured, 11, 0.9))
  assert.deepEqual(settingFor({ ...withWalks(20), curves: [] }, 10, 0.99, true), chosen)
  const flawless = { ...withWalks(20), walks: [{ k: 10, settings: [{ ...walked, recall: 1, error: 0 }] }] }
  assert.equal(settingFor(flawless, 10, 0.999, true), undefined)
  assert.deepEqual(bestSetting(withWalks(20), 10, true), chosen)
  assert.deepEqual(bestSetting(withWalks(20), 10), bestSetting(measured, 10))
})

test("a file may say only what every search can run", () => {
  assert.ok(isCalibration(JSON.parse(JSON.stringify(measured))))
  const spoilt = (changes: Partial<Setting>) =>
    ({ ...measured, curves: [{ k: 10, settings: [{ ...setting(MODE.ivf, 4, 32, 0.9), ...changes }] }] }) as unknown
  for (const changes of [
    { nprobe: 0 },
    { nprobe: 2 ** 21 },
    { rerank: 2 ** 15 },
    { rerank: 1.5 },
    { mode: 9 },
    { us: Number.NaN },
    { margin: -1 },
    { margin: Number.POSITIVE_INFINITY }
  ]) {
    assert.equal(isCalibration(spoilt(changes)), false, JSON.stringify(changes))
  }
  const walks = (changes: Partial<Setting>) =>
    ({
      ...measured,
      walks: [{ k: 10, settings: [{ ...setting(MODE.hnsw, 0, 16, 0.9), efSearch: 48, ...changes }] }]
    }) as unknown
  assert.ok(isCalibration(walks({})))
  for (const changes of [{ efSearch: 0 }, { efSearch: 4097 }, { efSearch: undefined }, { mode: MODE.flat }]) {
    assert.equal(isCalibration(walks(changes as Partial<Setting>)), false, JSON.stringify(changes))
  }
  for (const value of [
    undefined,
    null,
    1,
    [],
    {},
    { ...measured, curves: [{ k: 0, settings: [] }] },
    { ...measured, curves: 5 },
    { ...measured, written: 0.5 }
  ]) {
    assert.equal(isCalibration(value), false)
  }
})
