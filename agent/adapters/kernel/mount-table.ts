/**
 * What is mounted where, as the kernel says in `/proc/self/mountinfo`.
 *
 * Asking the table never touches a mount, so a dead or slow file system cannot block the question.
 */
import { readFile } from 'node:fs/promises'

/** Source of the read-only file system that keeps writes off a mount point whose directory cannot be made immutable. */
export const GUARD_SOURCE = 'varve-guard'

/** One mount. */
export interface MountEntry {
  /** Absolute path where it shows. */
  readonly path: string
  /** `major:minor` of the file system. */
  readonly device: string
  /** File system type with subtype: `ext4`, `fuse.varve`. */
  readonly type: string
  readonly source: string
}

/**
 * Reads the table.
 *
 * @returns Mounts in the kernel's order: of several at one path the last shows.
 */
export async function readMountTable(): Promise<MountEntry[]> {
  return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'))
}

/**
 * Parses the table, of which the number of optional fields varies.
 *
 * @param text - As in proc(5), `/proc/pid/mountinfo`.
 * @returns Mounts in order; lines of another shape are left out.
 * @example
 * parseMountTable('36 35 98:0 / /mnt rw - ext4 /dev/root rw') // [{ path: '/mnt', device: '98:0', type: 'ext4', ... }]
 */
export function parseMountTable(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ')
    const [, , device, , path] = before?.split(' ') ?? []
    const [type, source] = after?.split(' ') ?? []
    if (device === undefined || path === undefined || type === undefined) return []
    return [{ path: unescaped(path), device, type, source: unescaped(source ?? '') }]
  })
}

/**
 * The mount that shows at a path.
 *
 * @param path - Absolute, without links, as {@link canonicalPath} gives.
 * @returns The last mounted there, or undefined if the path is no mount point.
 */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return (await readMountTable()).findLast((entry) => entry.path === path)
}

/** Space, tab, newline and backslash are written in octal. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))
