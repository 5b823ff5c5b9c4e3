/** What is behind an object of the Promise door: other doors build on the same service. */
import type { Database } from "./core/database.ts"
import { InvalidParameter } from "./core/errors.ts"

const databases = new WeakMap<object, Database["Service"]>()

/** Lets `serviceOf` find the service of a database. */
export const behind = <D extends object>(database: D, service: Database["Service"]): D => {
  databases.set(database, service)
  return database
}

/** The service of a database that `open` opened; throws `InvalidParameter` for anything else. */
export const serviceOf = (database: object): Database["Service"] => {
  const service = databases.get(database)
  if (service !== undefined) return service
  throw new InvalidParameter({ parameter: "db", reason: "wanted a database that open opened" })
}
