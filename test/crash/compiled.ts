/**
 * Workers of this process, and processes that it starts, take modules as those before have compiled them: starting is
 * most of what a round takes.
 */
import { tmpdir } from "node:os"
import { join } from "node:path"

process.env["NODE_COMPILE_CACHE"] ??= join(tmpdir(), "sabine-crash-compiled")
