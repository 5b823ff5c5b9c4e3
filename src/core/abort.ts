/** Waiting for work that may be deaf to its signal. */
import { Cancelled } from "./errors.ts"

/** What `work` settles with, or `Cancelled` once the signal fires: nobody waits for work that goes on regardless. */
export const orCancelled = <A>(work: PromiseLike<A>, signal: AbortSignal): Promise<A> =>
  new Promise((resolve, reject) => {
    const cancel = () => reject(new Cancelled())
    if (signal.aborted) cancel()
    signal.addEventListener("abort", cancel, { once: true })
    work.then(resolve, reject).then(() => signal.removeEventListener("abort", cancel))
  })
