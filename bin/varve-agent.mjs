#!/usr/bin/env node
import { runPinned } from './pinned-node.mjs'

await runPinned('../agent/main.ts', 26)
