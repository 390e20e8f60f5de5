import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FactoryError } from '../errors.ts';
import { askCredentialHelper } from './credential-helper.ts';
import { isDockerHub } from './endpoint.ts';
import { type GoogleTokenSource, isGoogleHost } from './google-credentials.ts';

export type Credential =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** Sent as a bearer token as it is. */
  | { readonly kind: 'registry-token'; readonly token: string };

/** Where credentials are looked for: a parameter, so that nothing here reads the process's environment. */
export interface CredentialSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The home directory; files below it are not looked for when absent. */
  readonly home?: string;
}

/**
 * The credential for one repository of one registry. Files are read at each call; what programs and token
 * services said is remembered as long as the finder is used.
 */
export type CredentialFinder = (host: string, path: string, signal?: AbortSignal) => Promise<Credential>;

type HelperQuestion = (name: string, address: string) => Promise<Credential | undefined>;

/** Answers by question; failures are not remembered. */
class Remembered<T> {
  readonly #answers = new Map<string, Promise<T>>();

  get(key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const asked = ask();
    this.#answers.set(key, asked);
    asked.catch(() => this.#answers.delete(key));
    return asked;
  }
}

const ANONYMOUS: Credential = { kind: 'anonymous' };
/** Configuration files are small; a larger one is something else. */
const MAX_CONFIG = 1 << 20;

/**
 * In this order, the first that has something: the Docker or Podman configuration (credential helpers first,
 * then its `auths`), `GITHUB_TOKEN` for ghcr.io, Google credentials for Google's registries; else anonymous.
 */
export function credentialFinder(sources: CredentialSources, google: GoogleTokenSource): CredentialFinder {
  // One answer for all repositories of a registry: a helper takes a second and more.
  const helped = new Remembered<Credential | undefined>();
  const tokens = new Remembered<string | undefined>();
  const ask: HelperQuestion = (name, address) =>
    helped.get(`${name} ${address}`, () => askCredentialHelper(name, address, sources));
  return async (host, path, signal) => {
    const configured = await fromConfigFile(sources, ask, host, path, signal);
    if (configured !== undefined) return configured;
    const github = sources.env.GITHUB_TOKEN;
    if (host === 'ghcr.io' && github) {
      return { kind: 'basic', username: sources.env.GITHUB_ACTOR || 'unset', password: github };
    }
    if (isGoogleHost(host)) {
      const token = await tokens.get('google', () => google(sources));
      if (token !== undefined) return { kind: 'basic', username: 'oauth2accesstoken', password: token };
    }
    return ANONYMOUS;
  };
}

/** The one file that counts (spec artifacts §7.2 point 1). */
async function configFile({ env, home }: CredentialSources): Promise<string | undefined> {
  const atHome = home === undefined ? undefined : join(home, '.docker', 'config.json');
  const chosen = env.DOCKER_CONFIG ? join(env.DOCKER_CONFIG, 'config.json') : undefined;
  if ((await exists(atHome)) || (await exists(chosen))) return chosen ?? atHome;
  if (env.REGISTRY_AUTH_FILE) return env.REGISTRY_AUTH_FILE;
  const runtime = env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'containers', 'auth.json') : undefined;
  if (await exists(runtime)) return runtime;
  const config = env.XDG_CONFIG_HOME || (home === undefined ? undefined : join(home, '.config'));
  return config === undefined ? undefined : join(config, 'containers', 'auth.json');
}

async function exists(path: string | undefined): Promise<boolean> {
  if (path === undefined) return false;
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

type Json = Readonly<Record<string, unknown>>;

function asObject(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

async function fromConfigFile(
  sources: CredentialSources,
  ask: HelperQuestion,
  host: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Credential | undefined> {
  const file = await configFile(sources);
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(file, { encoding: 'utf8', ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw invalidConfig(file, 'it cannot be read', error);
  }
  if (text.length > MAX_CONFIG) throw invalidConfig(file, 'it is too large');
  const config = parseConfig(file, text);
  const keys = lookupKeys(host, path);

  const helpers = asObject(config.credHelpers);
  for (const key of keys) {
    const helper = asText(helpers?.[key]);
    if (helper === undefined) continue;
    // The more specific source is final when it knows something, else the next one may.
    const found = await ask(helper, helperAddress(host, key));
    if (found !== undefined) return found;
    break;
  }
  const store =
    helpers === undefined || !keys.some((key) => key in helpers) ? asText(config.credsStore) : undefined;
  if (store !== undefined) {
    const found = await ask(store, helperAddress(host, host));
    if (found !== undefined) return found;
  }
  const auths = asObject(config.auths);
  for (const key of keys) {
    const entry = asObject(auths?.[key]);
    const credential = entry === undefined ? undefined : fromEntry(file, key, entry);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

function parseConfig(file: string, text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which may be a password.
    throw invalidConfig(file, 'it is not JSON');
  }
  const config = asObject(value);
  if (config === undefined) throw invalidConfig(file, 'it is not a JSON object');
  return config;
}

function invalidConfig(file: string, why: string, cause?: unknown): FactoryError {
  return new FactoryError(
    'internal',
    'OCI_CREDENTIALS_INVALID',
    `registry credentials in ${file} cannot be used: ${why}`,
    cause === undefined ? {} : { cause },
  );
}

/** From the most specific to the host itself, with the spellings that Docker writes. */
function lookupKeys(host: string, path: string): readonly string[] {
  const names = isDockerHub(host) ? ['index.docker.io', 'docker.io'] : [host];
  const keys: string[] = [];
  for (const name of names) {
    const parts = path === '' ? [] : path.split('/');
    for (let count = parts.length; count > 0; count--)
      keys.push(`${name}/${parts.slice(0, count).join('/')}`);
  }
  if (isDockerHub(host)) keys.push('https://index.docker.io/v1/');
  for (const name of names) {
    keys.push(
      name,
      `https://${name}`,
      `https://${name}/`,
      `https://${name}/v1/`,
      `https://${name}/v2/`,
      `http://${name}`,
    );
  }
  return keys;
}

function helperAddress(host: string, key: string): string {
  return isDockerHub(host) ? 'https://index.docker.io/v1/' : key;
}

function fromEntry(file: string, key: string, entry: Json): Credential | undefined {
  const registryToken = asText(entry.registrytoken);
  if (registryToken !== undefined) return { kind: 'registry-token', token: registryToken };
  const identityToken = asText(entry.identitytoken);
  if (identityToken !== undefined) return { kind: 'identity-token', token: identityToken };
  const auth = asText(entry.auth);
  if (auth !== undefined) {
    const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = decoded.indexOf(':');
    if (colon < 0) throw invalidConfig(file, `the "auth" of ${key} is not base64 of user:password`);
    return { kind: 'basic', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
  }
  const username = asText(entry.username);
  const password = asText(entry.password);
  return username === undefined || password === undefined ? undefined : { kind: 'basic', username, password };
}
