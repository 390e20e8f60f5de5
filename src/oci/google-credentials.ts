import { createSign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { runProgram } from '../process/run.ts';
import type { CredentialSources } from './credentials.ts';
import { badAnswer } from './errors.ts';
import type { Transport } from './transport.ts';

/** An access token for Google's registries, or `undefined` when this machine has no Google credentials. */
export type GoogleTokenSource = (
  sources: CredentialSources,
  signal?: AbortSignal,
) => Promise<string | undefined>;

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const MAX_ANSWER = 256 * 1024;

/** Hosts whose registries take Google's tokens (spec artifacts §7.2 point 3). */
export function isGoogleHost(host: string): boolean {
  return (
    host === 'gcr.io' || host.endsWith('.gcr.io') || host.endsWith('.pkg.dev') || host.endsWith('.google.com')
  );
}

/**
 * Application default credentials: the file of `GOOGLE_APPLICATION_CREDENTIALS`, else gcloud's own one, of the
 * types `service_account` and `authorized_user`; then the metadata server when `GCE_METADATA_HOST` names it;
 * then the `gcloud` program.
 */
export function googleTokens(transport: Transport, clock: Clock): GoogleTokenSource {
  return async (sources, signal) => {
    const { env, home } = sources;
    const named = env.GOOGLE_APPLICATION_CREDENTIALS;
    const configDir =
      env.CLOUDSDK_CONFIG || (home === undefined ? undefined : join(home, '.config', 'gcloud'));
    const file = named || (configDir && join(configDir, 'application_default_credentials.json'));
    const account = file ? await readAccount(file, Boolean(named)) : undefined;
    if (file && account !== undefined) return exchange(transport, clock, file, account, signal);
    const metadataHost = env.GCE_METADATA_HOST;
    if (metadataHost) return fromMetadata(transport, metadataHost, signal);
    return fromProgram(sources, signal);
  };
}

async function readAccount(file: string, isRequired: boolean): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (!isRequired && error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw unusable(file, 'it cannot be read', error);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Falls through: the parser's message could quote a secret.
  }
  throw unusable(file, 'it is not a JSON object');
}

function unusable(file: string, why: string, cause?: unknown): FactoryError {
  return new FactoryError(
    'internal',
    'OCI_CREDENTIALS_INVALID',
    `Google credentials in ${file} cannot be used: ${why}`,
    cause === undefined ? {} : { cause },
  );
}

async function exchange(
  transport: Transport,
  clock: Clock,
  file: string,
  account: Record<string, unknown>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const text = (key: string): string => {
    const value = account[key];
    if (typeof value !== 'string' || value === '') throw unusable(file, `it has no ${key}`);
    return value;
  };
  const endpoint =
    typeof account.token_uri === 'string' ? account.token_uri : 'https://oauth2.googleapis.com/token';
  if (!URL.canParse(endpoint)) throw unusable(file, 'its token_uri is not a URL');
  let form: Record<string, string>;
  switch (account.type) {
    case 'service_account':
      form = {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: assertion(text('client_email'), text('private_key'), endpoint, clock),
      };
      break;
    case 'authorized_user':
      form = {
        grant_type: 'refresh_token',
        client_id: text('client_id'),
        client_secret: text('client_secret'),
        refresh_token: text('refresh_token'),
      };
      break;
    default:
      throw unusable(file, 'only the types service_account and authorized_user are supported');
  }
  const answer = await transport.request(new URL(endpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: () => Buffer.from(new URLSearchParams(form).toString()),
    signal,
    maxRedirects: 0,
  });
  return accessToken(new URL(endpoint).host, answer.status, await answer.bytes(MAX_ANSWER));
}

/** RFC 7523 §2.1: a signed statement of the account, valid for an hour. */
function assertion(email: string, privateKey: string, audience: string, clock: Clock): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const issued = Math.floor(clock.now() / 1000);
  const claims = { iss: email, scope: SCOPE, aud: audience, iat: issued, exp: issued + 3600 };
  const signed = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const signature = createSign('RSA-SHA256').update(signed).sign(privateKey).toString('base64url');
  return `${signed}.${signature}`;
}

async function fromMetadata(transport: Transport, host: string, signal?: AbortSignal): Promise<string> {
  const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`;
  if (!URL.canParse(url)) throw badAnswer('OCI_CREDENTIALS_INVALID', 'GCE_METADATA_HOST is not a host name');
  const answer = await transport.request(new URL(url), {
    method: 'GET',
    headers: { 'metadata-flavor': 'Google' },
    signal,
    maxRedirects: 0,
  });
  return accessToken(host, answer.status, await answer.bytes(MAX_ANSWER));
}

async function fromProgram(sources: CredentialSources, signal?: AbortSignal): Promise<string | undefined> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(sources.env)) if (value !== undefined) env[name] = value;
  try {
    const { stdout } = await runProgram({
      program: 'gcloud',
      args: ['auth', 'print-access-token', '--quiet'],
      env,
      timeout: 60_000,
      ...(signal === undefined ? {} : { signal }),
    });
    const token = Buffer.from(stdout).toString('utf8').trim();
    return token === '' ? undefined : token;
  } catch (error) {
    // Without the program, or with nobody signed in, public images are pulled anonymously.
    if (error instanceof FactoryError && /^PROGRAM_(MISSING|FAILED)$/.test(error.code)) return undefined;
    throw error;
  }
}

function accessToken(host: string, status: number, body: Uint8Array): string {
  if (status === 200) {
    try {
      const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
      const token = (value as { access_token?: unknown } | null)?.access_token;
      if (typeof token === 'string' && token !== '') return token;
    } catch {
      // Falls through to the one error below.
    }
  }
  throw badAnswer(
    'OCI_UNAUTHORIZED',
    `${host} gave no access token for the Google credentials (status ${status})`,
  );
}
