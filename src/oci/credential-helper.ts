import { FactoryError } from '../errors.ts';
import { runProgram } from '../process/run.ts';
import type { Credential, CredentialSources } from './credentials.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What every helper prints when it has nothing (docker-credential-helpers, `credentials/error.go`). */
const NOTHING = /credentials not found|no credentials server url/i;

/**
 * Asks `docker-credential-<name>` for the credentials of an address: the address goes to its standard input,
 * JSON comes back. `undefined` when it knows none.
 */
export async function askCredentialHelper(
  name: string,
  address: string,
  sources: CredentialSources,
  signal?: AbortSignal,
): Promise<Credential | undefined> {
  if (!NAME.test(name)) {
    throw new FactoryError(
      'internal',
      'OCI_CREDENTIALS_INVALID',
      `invalid name of a credential helper: ${JSON.stringify(name)}`,
    );
  }
  const program = `docker-credential-${name}`;
  let printed = '';
  try {
    await runProgram({
      program,
      args: ['get'],
      stdin: Buffer.from(address),
      env: definedOnly(sources.env),
      timeout: 60_000,
      onOutput: (chunk) => {
        if (printed.length < 1 << 20) printed += Buffer.from(chunk).toString('utf8');
      },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'PROGRAM_FAILED') {
      if (NOTHING.test(printed)) return undefined;
      // Helpers print their reason to standard output; it is not repeated, for it may hold a secret.
      throw new FactoryError('internal', 'OCI_CREDENTIALS_INVALID', `${program} failed for ${address}`, {
        cause: error,
      });
    }
    throw error;
  }
  return parseAnswer(program, printed);
}

function parseAnswer(program: string, printed: string): Credential | undefined {
  let value: unknown;
  try {
    value = JSON.parse(printed);
  } catch {
    throw new FactoryError('internal', 'OCI_CREDENTIALS_INVALID', `${program} did not print JSON`);
  }
  const answer = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const username = answer.Username;
  const secret = answer.Secret;
  if (typeof secret !== 'string' || secret === '') return undefined;
  // `<token>` says that the secret is an identity token.
  if (username === '<token>') return { kind: 'identity-token', token: secret };
  return { kind: 'basic', username: typeof username === 'string' ? username : '', password: secret };
}

function definedOnly(env: CredentialSources['env']): Record<string, string> {
  const defined: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined) defined[name] = value;
  return defined;
}
