/** A namespace of a store on some node, as the engine `disperse` sees it. */
import { assert } from '../../base/assert.ts'
import { bytesEqual } from '../../base/bytes.ts'
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { ShardStore } from '../../engines/disperse/ports.ts'
import {
  bytesOf,
  type RespNamespace,
  type RespNamespaceInit,
  respNamespace,
} from './resp-namespace.ts'

/** A remote namespace, with its connection. */
export interface RespShardStore extends ShardStore {
  /** The connection, for other questions to the same namespace. */
  readonly remote: RespNamespace
  /** Ends the connection; a later request makes a new one. */
  close(): void
}

/**
 * Makes a shard store out of a way to connect.
 *
 * @param init - How to reach the store and which namespace is meant.
 * @returns The store; nothing is dialled before the first request.
 * @example
 * const store = respShardStore({ namespace: 'o7.0', connect: (signal) => dial(account, 'store', signal) })
 * await store.put(key, value, signal)
 */
export function respShardStore(init: RespNamespaceInit): RespShardStore {
  const remote = respNamespace(init)
  const { ask } = remote
  return {
    remote,
    async put(key, value, signal) {
      await ask(['SET', key, value], signal)
    },
    async putNew(key, value, signal) {
      try {
        if ((await ask(['SETNX', key, value], signal)) === 1) return true
      } catch (caught) {
        // A store of a version that has no such command; what else it refuses it refuses again.
        if (!isNodeError(caught, 'STORE_REFUSED')) throw caught
      }
      const held = bytesOf(await ask(['GET', key], signal))
      if (held !== undefined && !bytesEqual(held, value)) return false
      // What is there already may not be durable yet.
      await ask(['SET', key, value], signal)
      return true
    },
    async get(key, signal) {
      return bytesOf(await ask(['GET', key], signal))
    },
    async getRange(key, offset, lengthBytes, signal) {
      assert(offset >= 0 && lengthBytes >= 0, 'a range lies within its value')
      if (lengthBytes === 0)
        return (await ask(['EXISTS', key], signal)) ? new Uint8Array(0) : undefined
      const last = offset + lengthBytes - 1
      return bytesOf(await ask(['GETRANGE', key, String(offset), String(last)], signal))
    },
    async list(prefix, after, limit, signal) {
      const start = after ? ['AFTER', after] : []
      const keys: Uint8Array[] = []
      let args = ['LIST', prefix, ...start, 'COUNT', String(limit)]
      for (;;) {
        const page = await ask(args, signal)
        if (!Array.isArray(page)) throw new NodeError('STORE_REFUSED', 'LIST did not reply a list')
        const found = page.filter((one): one is Buffer => Buffer.isBuffer(one))
        keys.push(...found)
        const last = found.at(-1)
        if (!last || keys.length >= limit) return keys
        args = ['LIST', prefix, 'AFTER', last, 'COUNT', String(limit - keys.length)]
      }
    },
    async delete(key, signal) {
      try {
        await ask(['DEL', key], signal)
      } catch (caught) {
        if (!isNodeError(caught, 'STORE_REFUSED') || caught.details['words'] !== NO_KEY)
          throw caught
      }
    },
    close: () => remote.close(),
  }
}

const NO_KEY = 'Key not found'
