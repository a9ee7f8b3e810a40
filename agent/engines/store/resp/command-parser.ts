/**
 * Cuts a stream of bytes into commands of the redis protocol, without copying: arguments are offsets into what was
 * received. Keeps no state between calls; an incomplete command is parsed again once enough has come.
 *
 * Every limit is checked before memory is spent on what it limits.
 */
import { NodeError } from '../../../base/errors.ts'
import { KIB, MIB } from '../../../base/units.ts'
import { VALUE_BYTES_MAX } from '../constants.ts'

/** As in 0-db, so that a command of 1023 keys passes. */
export const ARGUMENTS_MAX = 1024
/** One value of the largest size, or many small ones. */
export const COMMAND_BYTES_MAX = VALUE_BYTES_MAX + MIB
/** Who has not yet shown who he is sends no long commands. */
export const STRANGER_COMMAND_BYTES_MAX = 64 * KIB
/** An inline command is typed by a person. */
export const INLINE_BYTES_MAX = 64 * KIB
/** `*1024\r\n` and `$8388608\r\n` are shorter than this. */
const NUMBER_LINE_BYTES_MAX = 16

const STAR = 42
const DOLLAR = 36
const CR = 13
const LF = 10
const SPACE = 32
const QUOTE = 34
const APOSTROPHE = 39
const BACKSLASH = 92

/** Parses one command at a time; the results are valid until the next call. */
export class CommandParser {
  /** What `starts` and `ends` point into: the input, or a copy for inline commands with quotes. */
  bytes: Buffer = Buffer.alloc(0)
  readonly starts = new Int32Array(ARGUMENTS_MAX)
  readonly ends = new Int32Array(ARGUMENTS_MAX)
  count = 0
  /** Whether the last command was a line that a person typed, not an array. */
  isInline = false
  /** After `parse` gave -1: bytes from the start of the command that are needed at least. */
  neededBytes = 0

  /**
   * Parses the command that starts at `from`.
   *
   * @param input - What was received.
   * @param from - First byte of the command.
   * @param to - After the last byte received.
   * @param commandBytesMax - Longest command accepted.
   * @returns Where the next command starts, or -1 if this one is incomplete. `count` is 0 for an empty command.
   * @throws NodeError `RESP_PROTOCOL`: the stream cannot be followed any further.
   * @example
   * const next = parser.parse(Buffer.from('PING\r\n'), 0, 6, COMMAND_BYTES_MAX) // 6, count 1
   */
  parse(input: Buffer, from: number, to: number, commandBytesMax: number): number {
    this.count = 0
    this.isInline = input[from] !== STAR
    this.bytes = input
    this.neededBytes = 1
    if (from >= to) return -1
    return this.isInline
      ? this.#parseInline(input, from, to)
      : this.#parseArray(input, from, to, commandBytesMax)
  }

  /** Length of an argument in bytes. */
  lengthOf(argument: number): number {
    return (this.ends[argument] as number) - (this.starts[argument] as number)
  }

  /** A view of an argument, valid until the next call. */
  view(argument: number): Buffer {
    return this.bytes.subarray(this.starts[argument], this.ends[argument])
  }

  /** An argument that outlives the next call. */
  copy(argument: number): Buffer {
    return Buffer.from(this.view(argument))
  }

  /** An argument as latin1, which keeps every byte. */
  text(argument: number): string {
    return this.bytes.toString('latin1', this.starts[argument], this.ends[argument])
  }

  /** An argument in upper case. */
  word(argument: number): string {
    return this.text(argument).toUpperCase()
  }

  /** An argument as a whole number in decimal, or undefined. */
  integer(argument: number): number | undefined {
    const text = this.text(argument)
    if (!/^-?\d{1,15}$/.test(text)) return undefined
    return Number(text)
  }

  #parseArray(input: Buffer, from: number, to: number, commandBytesMax: number): number {
    let at = this.#number(input, from + 1, to, from)
    if (at < 0) return -1
    const count = this.#value
    if (count > ARGUMENTS_MAX) throw protocolError('invalid multibulk length')
    for (let argument = 0; argument < count; argument++) {
      if (at >= to) return this.#need(to - from + 1)
      if (input[at] !== DOLLAR) throw protocolError(`expected '$', got '${printable(input[at])}'`)
      at = this.#number(input, at + 1, to, from)
      if (at < 0) return -1
      const length = this.#value
      if (length < 0 || length > VALUE_BYTES_MAX) throw protocolError('invalid bulk length')
      const end = at + length
      if (end + 2 - from > commandBytesMax) throw protocolError('command too long')
      if (end + 2 > to) return this.#need(end + 2 - from)
      if (input[end] !== CR || input[end + 1] !== LF) throw protocolError('bulk without end')
      this.starts[argument] = at
      this.ends[argument] = end
      at = end + 2
    }
    // 0-db answers an empty command with an error, and so does this; arity 0 has no name to find.
    if (count < 1) throw protocolError('empty command')
    this.count = count
    return at
  }

  #value = 0

  /** Reads digits up to CR LF into `#value`. @returns After them, or -1. */
  #number(input: Buffer, start: number, to: number, from: number): number {
    let at = start
    let value = 0
    let digit = 0
    const isNegative = input[at] === 45 && at < to
    if (isNegative) at++
    const digitsStart = at
    for (; at < to; at++) {
      digit = (input[at] as number) - 48
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
      if (at - digitsStart > NUMBER_LINE_BYTES_MAX) throw protocolError('number too long')
    }
    if (at + 1 >= to) {
      if (at < to && input[at] !== CR) throw protocolError('expected a number')
      return this.#need(to - from + 1)
    }
    if (at === digitsStart || input[at] !== CR || input[at + 1] !== LF) {
      throw protocolError('expected a number')
    }
    this.#value = isNegative ? -value : value
    return at + 2
  }

  #need(bytes: number): number {
    this.neededBytes = bytes
    return -1
  }

  #parseInline(input: Buffer, from: number, to: number): number {
    const limit = Math.min(to, from + INLINE_BYTES_MAX)
    const newline = input.subarray(from, limit).indexOf(LF)
    if (newline < 0) {
      if (to - from >= INLINE_BYTES_MAX) throw protocolError('too big inline request')
      return this.#need(to - from + 1)
    }
    const lineEnd = from + newline
    const end = lineEnd > from && input[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
    this.#splitLine(input, from, end)
    return lineEnd + 1
  }

  #splitLine(input: Buffer, from: number, end: number): void {
    // Unquoted text is never longer than the line.
    const text = Buffer.allocUnsafe(end - from)
    let used = 0
    let at = from
    while (at < end) {
      if (isBlank(input[at])) {
        at++
        continue
      }
      if (this.count >= ARGUMENTS_MAX) throw protocolError('too many arguments')
      this.starts[this.count] = used
      while (at < end && !isBlank(input[at])) {
        const quote = input[at]
        if (quote !== QUOTE && quote !== APOSTROPHE) {
          text[used++] = input[at++] as number
          continue
        }
        for (at++; at < end && input[at] !== quote; at++) {
          if (input[at] === BACKSLASH && quote === QUOTE && at + 1 < end) at++
          text[used++] = input[at] as number
        }
        if (at >= end) throw protocolError('unbalanced quotes in request')
        at++
      }
      this.ends[this.count++] = used
    }
    this.bytes = text
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === 9 || byte === CR || byte === 0
}

function printable(byte: number | undefined): string {
  return byte !== undefined && byte > 32 && byte < 127 ? String.fromCharCode(byte) : '?'
}

function protocolError(problem: string): NodeError {
  return new NodeError('RESP_PROTOCOL', problem)
}
