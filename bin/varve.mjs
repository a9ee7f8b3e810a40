#!/usr/bin/env node
import { runPinned } from './pinned-node.mjs'

await runPinned('../client/cli/main.ts', 24)
