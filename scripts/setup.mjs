/**
 * Makes a fresh clone ready: installs the modules, checks the pinned Node, builds the addon.
 *
 * npm runs it before `start`, `test` and `bench`, with whatever Node the machine has: it keeps to
 * Node 20 and to no dependencies. When nothing is to be done it costs a few hashes.
 */
import { addonIsCurrent, buildAddon } from "./setup/addon.mjs"
import { withLock } from "./setup/lock.mjs"
import { checkNode, installModules, modulesAreCurrent } from "./setup/modules.mjs"

const isReady = () => modulesAreCurrent() && addonIsCurrent()

try {
  if (!isReady()) {
    await withLock(() => {
      // Another set-up may have done the work while this one waited for the lock.
      if (!modulesAreCurrent()) installModules()
      if (!addonIsCurrent()) buildAddon()
    })
  }
  checkNode()
} catch (error) {
  console.error(`set-up: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
