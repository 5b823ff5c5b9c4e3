/** `child.ts <peer> <job>`: one stage of one configuration, in a process that does nothing else. */
import { adapterOf } from "./catalogue.ts"
import type { Job } from "./job.ts"
import { build, list, openOnly, search } from "./stages.ts"

const [peer = "", text = ""] = process.argv.slice(2)
const job: Job = JSON.parse(text)
const adapter = await adapterOf(peer)
switch (job.stage) {
  case "list":
    list(adapter)
    break
  case "build":
    await build(adapter, job)
    break
  case "open":
    await openOnly(adapter, job)
    break
  case "search":
    await search(adapter, peer, job)
}
