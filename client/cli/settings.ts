/**
 * Settings and where they come from: an option, else the environment, else the configuration file. Resolved once, and
 * `varve config` shows each with its origin. Secrets are never settings, only the names of files that hold them.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { accountProblem } from '../../agent/base/checksummed-account.ts'
import { NodeError } from '../../agent/base/errors.ts'

/** Names of settings; the environment has them as `VARVE_LEDGER`, `VARVE_PASSWORD_FILE` and so on. */
export const SETTINGS = ['ledger', 'grid', 'keystore', 'passwordFile'] as const
export type SettingName = (typeof SETTINGS)[number]

/** One setting in force. */
export interface Setting {
  readonly value: string
  /** `--ledger`, `VARVE_LEDGER`, the path of the file, or `default`. */
  readonly from: string
}

/** All settings in force; absent ones were given nowhere. */
export interface Settings {
  readonly values: Readonly<Partial<Record<SettingName, Setting>>>
  readonly configFile: string
}

/** Options that every command has. */
export interface GlobalOptions {
  readonly ledger?: string
  readonly grid?: string
  readonly keystore?: string
  readonly passwordFile?: string
  readonly config?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

const FILE = z.strictObject({
  ledger: z.string().optional(),
  grid: z.string().optional(),
  keystore: z.string().optional(),
  passwordFile: z.string().optional(),
})

/**
 * Resolves the settings.
 *
 * @param options - What the command line said.
 * @param environment - The environment.
 * @returns What is in force.
 * @throws NodeError `CONFIG_INVALID`.
 */
export function resolveSettings(options: GlobalOptions, environment: Environment): Settings {
  const configFile = options.config ?? environment['VARVE_CONFIG'] ?? defaultConfigFile(environment)
  const file = readConfig(configFile)
  const values: Partial<Record<SettingName, Setting>> = {}
  for (const name of SETTINGS) {
    const variable = variableOf(name)
    const [option, variableValue, fileValue] = [options[name], environment[variable], file[name]]
    if (option !== undefined) values[name] = { value: option, from: `--${kebab(name)}` }
    else if (variableValue) values[name] = { value: variableValue, from: variable }
    else if (fileValue !== undefined) values[name] = { value: fileValue, from: configFile }
  }
  values.keystore ??= { value: defaultKeystore(environment), from: 'default' }
  return { values, configFile }
}

function defaultConfigFile(environment: Environment): string {
  return join(configDirectory(environment), 'config.json')
}

function defaultKeystore(environment: Environment): string {
  return join(configDirectory(environment), 'keystore.json')
}

function configDirectory(environment: Environment): string {
  return join(environment['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'varve')
}

function variableOf(name: SettingName): string {
  return `VARVE_${kebab(name).replaceAll('-', '_').toUpperCase()}`
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function readConfig(path: string): z.infer<typeof FILE> {
  if (!existsSync(path)) return {}
  try {
    return FILE.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (cause) {
    throw new NodeError('CONFIG_INVALID', `${path} is no configuration of varve`, { cause })
  }
}

/**
 * Writes one setting to the configuration file, whole or not at all.
 *
 * @param path - The file; made if missing.
 * @param name - Which setting.
 * @param value - Its value; undefined removes it.
 * @throws NodeError `SETTING_INVALID`; `CONFIG_INVALID` if the file is there but not readable.
 */
export function writeSetting(path: string, name: SettingName, value: string | undefined): void {
  const problem = value === undefined ? undefined : settingProblem(name, value)
  if (problem !== undefined) throw new NodeError('SETTING_INVALID', `"${value}" ${problem}`)
  const file = { ...readConfig(path), [name]: value }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 })
  renameSync(temporary, path)
}

/**
 * A setting that a command cannot do without, checked.
 *
 * @param settings - What is in force.
 * @param name - Which one.
 * @throws NodeError `SETTING_MISSING`, `SETTING_INVALID`.
 */
export function requiredSetting(settings: Settings, name: SettingName): string {
  const setting = settings.values[name]
  if (setting === undefined) throw new NodeError('SETTING_MISSING', `no ${kebab(name)} is given`)
  const problem = settingProblem(name, setting.value)
  if (problem === undefined) return setting.value
  throw new NodeError('SETTING_INVALID', `the ${kebab(name)} of ${setting.from} ${problem}`, {
    details: { setting: name, value: setting.value, from: setting.from },
  })
}

/**
 * Tells what is wrong with the value of a setting.
 *
 * @param name - Which one.
 * @param value - What it is to be.
 * @returns A sentence without its subject, such as `is no URL`; undefined if nothing is wrong.
 */
export function settingProblem(name: SettingName, value: string): string | undefined {
  if (name === 'grid') return accountProblem(value)
  if (name !== 'ledger') return value === '' ? 'names no file' : undefined
  const isHttp = /^https?:$/.test(URL.parse(value)?.protocol ?? '')
  return isHttp ? undefined : 'is no URL that begins with http:// or https://'
}

/**
 * Makes the parser of an option that is a setting.
 *
 * @param name - Which one.
 * @returns Gives the text as it is, or throws commander's `InvalidArgumentError`.
 */
export function settingArgument(name: SettingName): (text: string) => string {
  return (text) => {
    const problem = settingProblem(name, text)
    if (problem === undefined) return text
    throw new InvalidArgumentError(`it ${problem}`)
  }
}
