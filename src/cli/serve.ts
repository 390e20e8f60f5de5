import { loadConfig } from '../config/load.ts';
import { keysWithoutEffect } from '../config/not-yet.ts';
import type { Config } from '../config/schema.ts';
import { checkParts, validateConfig } from '../config/validate.ts';
import type { Log } from '../log.ts';
import { jsonLog } from '../logging/json-log.ts';
import type { Invocation } from './arguments.ts';
import type { Factory } from './factory.ts';
import { type Io, printFailure } from './io.ts';

/** How long requests in flight may take after a signal (`spec/configuration.md` §6). */
const GRACE_MS = 5_000;
/** How long the whole end may take, before the process goes anyway. */
const CLOSE_LIMIT_MS = 15_000;

/**
 * Runs a factory until a signal or a failure, in the order of `spec/configuration.md` §5 and §6. Says the exit code;
 * throws what keeps it from starting.
 */
export async function serve(invocation: Invocation, io: Io): Promise<number> {
  const { config, unknown } = await loadConfig(invocation.sources, io.env);
  const log = jsonLog({ level: invocation.logLevel, destination: io.stderr, clock: io.clock });
  log.debug('starting factory');
  for (const { source, key } of unknown) log.warn('unknown configuration key', { source, key });
  validateConfig(config);
  const { name, tag, sha } = io.version;
  log.info('starting', { name, version: tag, sha, enterprise: false });
  checkParts(config);
  warnOfConfig(config, log);

  const stopped = Promise.withResolvers<'stopped'>();
  let signals = 0;
  using _signals = io.onSignal((signal) => {
    signals++;
    // Whoever asks twice does not want to wait.
    if (signals > 1) io.exit(1);
    log.info('shutting down', { signal });
    stopped.resolve('stopped');
  });
  using _faults = io.onFault((kind, error) => {
    // A forgotten rejection harms its own work alone; after an exception nobody knows what was left half done.
    log.error(kind === 'rejection' ? 'unhandled rejection' : 'uncaught exception', { error });
    if (kind === 'exception') io.exit(1);
  });

  const compose = await io.compose();
  const factory = await compose(config, {
    ...(invocation.dataDir === undefined ? {} : { dataDir: invocation.dataDir }),
    log,
    env: io.env,
    version: io.version,
  });
  let failure: Error | undefined;
  try {
    const listening = await factory.listen();
    log.info('serving', { listen_addr: config.http.httpListenAddr, url: listening.url });
    if (listening.metricsUrl !== undefined) {
      log.info('serving metrics', { listen_addr: config.metrics.addr, url: listening.metricsUrl });
    }
    const end = await Promise.race([stopped.promise, factory.failed]);
    if (end !== 'stopped') failure = end;
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  const closed = await close(factory, failure === undefined ? GRACE_MS : 0, io);
  if (failure !== undefined) printFailure(io, failure);
  return failure === undefined && closed ? 0 : 1;
}

/** Closes within the limit; says whether that went well. */
async function close(factory: Factory, graceMs: number, io: Io): Promise<boolean> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => limit.reject(new Error(`the end took longer than ${CLOSE_LIMIT_MS / 1000} s`)),
    CLOSE_LIMIT_MS,
  );
  try {
    await Promise.race([factory.close(graceMs), limit.promise]);
    return true;
  } catch (error) {
    printFailure(io, error);
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function warnOfConfig(config: Config, log: Log): void {
  const keys = keysWithoutEffect(config);
  if (keys.length > 0) log.warn('configuration keys without effect yet', { keys });
  if (config.authentication.enabled) {
    log.error('authentication is not available yet: everyone who reaches this factory may use it');
  }
  if (config.containerSignature.disabled) {
    log.warn('container signature verification is disabled, this is not recommended');
  }
}
