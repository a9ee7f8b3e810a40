/** Name of the lock file of a store: one name, so that whoever serves a directory and whoever mends it keep each other out. */
export const STORE_LOCK = 'store.lock'
