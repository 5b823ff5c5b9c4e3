/** A collection for other threads of the process: handles and the ports that keep them current. */
import { MessageChannel, type MessagePort } from "node:worker_threads"
import type { MemoryHandle } from "../store/memory.ts"
import type { Store } from "../store/store.ts"
import type { CollectionShape } from "./options.ts"

/** What `attach` takes on the other thread. One handle serves one thread. */
export interface CollectionHandle {
  readonly name: string
  readonly shape: CollectionShape
  readonly memory: MemoryHandle
  /** Number under which that thread reads. */
  readonly reader: number
  readonly port: MessagePort
}

/** A handle and what must be transferred with it: `new Worker(url, { workerData: handle, transferList })`. */
export interface Share {
  readonly handle: CollectionHandle
  readonly transferList: Array<MessagePort>
}

/** Makes a handle for one more thread; when that thread ends, what it still held is released. */
export const shareMemory = (name: string, shape: CollectionShape, store: Store): Share => {
  const { port1, port2 } = new MessageChannel()
  const reader = store.directory.newReader()
  const unsubscribe = store.onGrowth((memory) => port1.postMessage(memory))
  port1.on("close", () => {
    unsubscribe()
    store.directory.releaseReader(reader)
  })
  // A listener keeps the process alive unless told otherwise.
  port1.unref()
  return { handle: { name, shape, memory: store.handle(), reader, port: port2 }, transferList: [port2] }
}
