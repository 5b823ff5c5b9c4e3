/** The tables of the log, as the steps that lead from each version of the file to the next. */

const FIRST = `
  CREATE TABLE collections(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, shape TEXT NOT NULL, folded INTEGER NOT NULL, crc INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE log(
    number INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, crc INTEGER NOT NULL, frame BLOB NOT NULL
  ) STRICT;
  CREATE TABLE entries(
    collection INTEGER NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL, crc INTEGER NOT NULL, frame BLOB NOT NULL,
    UNIQUE(collection, namespace, key)
  ) STRICT;`

/** The checkpoint whose images are being put in place; no row when none are. */
const RESTORING = "CREATE TABLE restoring(checkpoint TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;"

/** A file of version `i` is brought to the next by step `i`; one of more versions than there are steps is refused. */
export const MIGRATIONS: ReadonlyArray<string> = [FIRST, RESTORING]
export const SCHEMA_VERSION = MIGRATIONS.length

/** What the log is to say of a collection whose image is put in place. */
export interface RestoredCollection {
  readonly name: string
  /** What it was made with, as JSON. */
  readonly shape: string
  /** Number of the newest frame that the image holds; 0 for none. */
  readonly folded: number
}

/** A collection as the log knows it. */
export interface LoggedCollection {
  readonly id: number
  /** What it was made with, as JSON. */
  readonly shape: string
  /** Highest number of a frame that is in the log no more; 0 for none. */
  readonly folded: number
  /** Highest number of a frame in the log; 0 for none. */
  readonly last: number
}
