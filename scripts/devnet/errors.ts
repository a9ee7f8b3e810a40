/** What can go wrong with the local ledger. */
import type { ErrorCatalogue } from '../../agent/base/errors.ts'

export type DevnetErrorCode =
  | 'DEVNET_ENGINE_MISSING'
  | 'DEVNET_ENGINE_FAILED'
  | 'DEVNET_IN_USE'
  | 'DEVNET_DIVERGED'
  | 'DEVNET_JOURNAL_CORRUPT'
  | 'DEVNET_JOURNAL_FULL'
  | 'DEVNET_SETTINGS_CHANGED'
  | 'DEVNET_STOPPED'
  | 'DEVNET_RPC'
  | 'DEVNET_UNREACHABLE'

export const DEVNET_ERRORS: ErrorCatalogue<DevnetErrorCode> = {
  DEVNET_ENGINE_MISSING: {
    means: 'Neither anvil nor Hardhat is installed for this platform.',
    hint: 'Run npm install again; anvil comes as an optional package for linux-amd64.',
  },
  DEVNET_ENGINE_FAILED: {
    means: 'The ledger engine (anvil or Hardhat) does not come up or keeps dying.',
    hint: 'See its output in engine.log of the data directory; look for memory or disk pressure.',
  },
  DEVNET_IN_USE: {
    means: 'Another process runs a ledger on this data directory or port.',
    hint: 'Stop the process that is named, or use another data directory.',
  },
  DEVNET_DIVERGED: {
    means: 'Replaying the journal gave a block with another hash than before.',
    hint: 'The engine changed since the ledger was made: use its old version, or begin anew with npm start -- --fresh, which keeps the old data aside.',
  },
  DEVNET_JOURNAL_CORRUPT: {
    means: 'A journal is damaged before its end, or one is missing between two others.',
    hint: 'The disk lost acknowledged bytes: restore the data directory, or begin anew with npm start -- --fresh, which keeps the old data aside.',
  },
  DEVNET_JOURNAL_FULL: {
    means: 'The journal cannot take a record whole, so the transaction or block was not taken.',
    hint: 'Free space on the disk of the data directory.',
  },
  DEVNET_SETTINGS_CHANGED: {
    means: 'The data directory holds a ledger with another chain id, engine or format.',
    hint: 'Start it with the settings of ledger.json, or begin anew with npm start -- --fresh, which keeps the old data aside.',
  },
  DEVNET_STOPPED: {
    means: 'The ledger is stopping and takes nothing more.',
    hint: 'Start it again.',
  },
  DEVNET_RPC: {
    means: 'The engine answered a request with an error.',
    hint: 'The message is the engine’s own.',
  },
  DEVNET_UNREACHABLE: {
    means: 'The engine did not answer: it died, or it took longer than allowed.',
    hint: 'The supervisor starts it again; repeat the request.',
  },
}
