/** The native kernels under test, each instruction set of this machine in turn. */
import { test } from "node:test"
import type { Kernels } from "../../../src/core/kernels/contract.ts"
import { fallback, kernels } from "../../../src/core/native.ts"

/** The addon, when there is one. */
export const addon: Kernels | undefined = fallback === undefined ? kernels : undefined

/** Registers `name` once for every instruction set the addon has here, or once as skipped. */
export const testEveryIsa = (name: string, body: (native: Kernels) => void | Promise<void>): void => {
  if (addon === undefined) {
    test(name, { skip: fallback ?? true })
    return
  }
  const native = addon
  for (const isa of native.isas()) {
    test(`${name} on ${isa}`, async () => {
      const before = native.activeIsa()
      native.useIsa(isa)
      try {
        await body(native)
      } finally {
        native.useIsa(before)
      }
    })
  }
}
