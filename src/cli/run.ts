import { loadConfig } from '../config/load.ts';
import { keysWithoutEffect } from '../config/not-yet.ts';
import { renderConfig } from '../config/render.ts';
import { defaultConfig } from '../config/schema.ts';
import { checkParts, validateConfig } from '../config/validate.ts';
import { FactoryError } from '../errors.ts';
import { type Invocation, parseArguments } from './arguments.ts';
import { type Io, printFailure } from './io.ts';
import { serve } from './serve.ts';
import { USAGE } from './usage.ts';

/**
 * Runs a command line to its end and says the exit code: 0 help and clean end, 1 failure of configuration, start or
 * service, 2 a mistake in the command line.
 */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  let invocation: Invocation;
  try {
    invocation = parseArguments(args);
  } catch (error) {
    if (!(error instanceof FactoryError)) throw error;
    io.stderr.write(`${USAGE}${error.message}\n`);
    return 2;
  }
  try {
    return await runCommand(invocation, io);
  } catch (error) {
    printFailure(io, error);
    return 1;
  }
}

async function runCommand(invocation: Invocation, io: Io): Promise<number> {
  switch (invocation.command) {
    case 'help':
      io.stderr.write(USAGE);
      return 0;
    case 'version':
      io.stdout.write(`${io.version.name} ${io.version.tag} (${io.version.sha})\n`);
      return 0;
    case 'config print': {
      const config = invocation.defaults
        ? defaultConfig()
        : (await loadConfig(invocation.sources, io.env)).config;
      io.stdout.write(renderConfig(config, invocation.format));
      return 0;
    }
    case 'config check':
      return checkConfig(invocation, io);
    case 'serve':
      return serve(invocation, io);
  }
}

async function checkConfig(invocation: Invocation, io: Io): Promise<number> {
  const { config, unknown } = await loadConfig(invocation.sources, io.env);
  for (const { source, key } of unknown) io.stderr.write(`unknown key ${key} in ${source}\n`);
  for (const key of keysWithoutEffect(config)) io.stderr.write(`${key} has no effect yet\n`);
  validateConfig(config);
  checkParts(config);
  io.stdout.write('the configuration is valid\n');
  return 0;
}
