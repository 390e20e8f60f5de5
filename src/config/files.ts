import { type FileHandle, open } from 'node:fs/promises';
import { LineCounter, parseAllDocuments } from 'yaml';
import { FactoryError } from '../errors.ts';
import { parseDotenv } from './dotenv.ts';
import { dotenvSettings } from './environment.ts';
import type { Settings } from './merge.ts';
import type { ConfigFormat } from './sources.ts';

/** Far more than any configuration has; a device or an endless pipe is not read on. */
const LARGEST = 4 << 20;

/**
 * The settings of a file. Throws `invalid` `CONFIG_UNREADABLE` or `CONFIG_MALFORMED`; messages name the file and
 * the place, never what stands there, since it may be a secret.
 */
export async function fileSettings(path: string, format: ConfigFormat): Promise<Settings> {
  const text = await readText(path);
  if (format === 'dotenv') {
    try {
      return dotenvSettings(parseDotenv(text), path);
    } catch (error) {
      throw error instanceof FactoryError ? malformed(path, error.message) : error;
    }
  }
  const value = format === 'json' ? parseJson(text, path) : parseYaml(text, path);
  if (value !== null && (typeof value !== 'object' || Array.isArray(value))) {
    throw malformed(path, 'expected a map at the top');
  }
  return { source: path, settings: [{ path: [], value, written: '', textual: false }], mixed: false };
}

async function readText(path: string): Promise<string> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw unreadable('open', path, error);
  }
  try {
    const buffer = Buffer.alloc(LARGEST + 1);
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, size, buffer.length - size);
      size += bytesRead;
      if (bytesRead === 0) return buffer.toString('utf8', 0, size).replace(/^\uFEFF/, '');
      if (size > LARGEST) throw malformed(path, `is larger than ${LARGEST} bytes`);
    }
  } catch (error) {
    throw error instanceof FactoryError ? error : unreadable('read', path, error);
  } finally {
    await file.close();
  }
}

function parseJson(text: string, path: string): unknown {
  if (text.trim() === '') throw malformed(path, 'json: unexpected end of JSON input');
  try {
    return JSON.parse(text);
  } catch (error) {
    const place = error instanceof Error ? /line \d+ column \d+/.exec(error.message)?.[0] : undefined;
    throw malformed(path, `json: invalid syntax${place === undefined ? '' : ` at ${place}`}`);
  }
}

function parseYaml(text: string, path: string): unknown {
  const lineCounter = new LineCounter();
  const options = { lineCounter, prettyErrors: false, merge: true, resolveKnownTags: false };
  const documents = parseAllDocuments(text, options);
  if (!Array.isArray(documents)) return null;
  for (const document of documents) {
    const problem = document.errors[0];
    if (problem === undefined) continue;
    const { line } = lineCounter.linePos(problem.pos[0]);
    throw malformed(path, `yaml: line ${line}: ${problem.code.toLowerCase().replaceAll('_', ' ')}`);
  }
  if (documents.filter((document) => document.contents !== null).length > 1) {
    throw malformed(path, 'yaml: more than one document');
  }
  try {
    return documents.map((document) => document.toJS()).find((value) => value !== null) ?? null;
  } catch {
    // The only thing left to go wrong is an alias that repeats too much or points nowhere.
    throw malformed(path, 'yaml: aliases cannot be resolved');
  }
}

/** What Go says for the usual error numbers; scripts look for these texts. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file or directory'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'is a directory'],
  ['ENOTDIR', 'not a directory'],
  ['ELOOP', 'too many levels of symbolic links'],
]);

function unreadable(action: string, path: string, error: unknown): FactoryError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return new FactoryError('invalid', 'CONFIG_UNREADABLE', `${action} ${path}: ${REASONS.get(code) ?? code}`, {
    cause: error,
  });
}

function malformed(path: string, problem: string): FactoryError {
  return new FactoryError('invalid', 'CONFIG_MALFORMED', `${path}: ${problem}`);
}
