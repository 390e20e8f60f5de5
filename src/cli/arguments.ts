import { parseBoolean } from '../config/go-values.ts';
import { RENDER_FORMATS, type RenderFormat } from '../config/render.ts';
import { type ConfigSource, parseSources } from '../config/sources.ts';
import { FactoryError } from '../errors.ts';
import { LOG_LEVELS, type LogLevel, parseLogLevel } from '../logging/levels.ts';

export type Command = 'serve' | 'config print' | 'config check' | 'help' | 'version';

export interface Invocation {
  readonly command: Command;
  /** Those of `--config`, in order of appearance; the default source is not among them. */
  readonly sources: readonly ConfigSource[];
  readonly logLevel: LogLevel;
  readonly dataDir: string | undefined;
  /** Of `config print`. */
  readonly defaults: boolean;
  readonly format: RenderFormat;
}

/** What the options say so far. */
interface Options {
  readonly sources: ConfigSource[];
  logLevel: LogLevel;
  dataDir: string | undefined;
  version: boolean;
  defaults: boolean | undefined;
  format: RenderFormat | undefined;
}

interface Option {
  readonly needsArgument: boolean;
  /** Throws an `Error` whose message is the cause. */
  readonly set: (options: Options, value: string) => void;
}

const OPTIONS: ReadonlyMap<string, Option> = new Map<string, Option>([
  ['config', { needsArgument: true, set: (options, value) => options.sources.push(...parseSources(value)) }],
  ['log-level', { needsArgument: true, set: setLogLevel }],
  ['data-dir', { needsArgument: true, set: setDataDir }],
  ['format', { needsArgument: true, set: setFormat }],
  [
    'version',
    {
      needsArgument: false,
      set: (options, value) => {
        options.version = boolean(value);
      },
    },
  ],
  [
    'defaults',
    {
      needsArgument: false,
      set: (options, value) => {
        options.defaults = boolean(value);
      },
    },
  ],
]);

/**
 * Reads a command line in GNU form (`--name value`, `--name=value`, `--` ends the options). Positional arguments
 * are commands or nothing: older set-ups pass the name of the program again. The first mistake ends it: `invalid`
 * `USAGE` with the line to print below the usage.
 */
export function parseArguments(args: readonly string[]): Invocation {
  const options: Options = {
    sources: [],
    logLevel: 'info',
    dataDir: undefined,
    version: false,
    defaults: undefined,
    format: undefined,
  };
  const positional: string[] = [];
  let help = false;
  for (let i = 0; i < args.length && !help; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') {
      positional.push(...args.slice(i + 1));
      break;
    }
    if (arg === '-' || !arg.startsWith('-')) {
      positional.push(arg);
      continue;
    }
    if (!arg.startsWith('--')) {
      if (!arg.startsWith('-h')) throw usage(`unknown shorthand flag: '${[...arg][1]}' in ${arg}`);
      help = true;
      continue;
    }
    const equals = arg.indexOf('=');
    const name = arg.slice(2, equals < 0 ? undefined : equals);
    if (name === '' || name.startsWith('-')) throw usage(`bad flag syntax: ${arg}`);
    if (name === 'help') {
      help = true;
      continue;
    }
    const option = OPTIONS.get(name);
    if (option === undefined) throw usage(`unknown flag: --${name}`);
    let value = equals < 0 ? undefined : arg.slice(equals + 1);
    if (value === undefined && option.needsArgument) {
      i++;
      value = args[i];
      if (value === undefined) throw usage(`flag needs an argument: --${name}`);
    }
    apply(name, option, options, value ?? 'true');
  }
  return invocation(options, help ? 'help' : options.version ? 'version' : commandOf(positional));
}

function apply(name: string, option: Option, options: Options, value: string): void {
  try {
    option.set(options, value);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw usage(`invalid argument ${JSON.stringify(value)} for "--${name}" flag: ${cause}`);
  }
}

function invocation(options: Options, command: Command): Invocation {
  if (command === 'serve' || command === 'config check') {
    if (options.defaults !== undefined) throw usage('unknown flag: --defaults (it belongs to config print)');
    if (options.format !== undefined) throw usage('unknown flag: --format (it belongs to config print)');
  }
  return {
    command,
    sources: options.sources,
    logLevel: options.logLevel,
    dataDir: options.dataDir,
    defaults: options.defaults ?? false,
    format: options.format ?? 'yaml',
  };
}

function commandOf(positional: readonly string[]): Command {
  const at = positional.findIndex((word) => word === 'serve' || word === 'config');
  if (positional[at] !== 'config') return 'serve';
  const action = positional[at + 1];
  if (action === 'print') return 'config print';
  if (action === 'check') return 'config check';
  throw usage('config needs one of its commands: print, check');
}

function setLogLevel(options: Options, value: string): void {
  const level = parseLogLevel(value);
  if (level === undefined) {
    throw usage(`unrecognized level: ${JSON.stringify(value)}: must be one of [${LOG_LEVELS.join(' ')}]`);
  }
  options.logLevel = level;
}

function setDataDir(options: Options, value: string): void {
  if (value.trim() === '') throw usage('a directory must not be empty');
  options.dataDir = value;
}

function setFormat(options: Options, value: string): void {
  const format = RENDER_FORMATS.find((known) => known === value);
  if (format === undefined) throw usage(`must be one of [${RENDER_FORMATS.join(' ')}]`);
  options.format = format;
}

function boolean(value: string): boolean {
  const parsed = parseBoolean(value);
  if (parsed === undefined)
    throw usage(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
  return parsed;
}

function usage(message: string): FactoryError {
  return new FactoryError('invalid', 'USAGE', message);
}
