import type { Config } from '../config/schema.ts';
import type { Log } from '../log.ts';

/** Which program this is, for logs, `--version` and the `Server` header. */
export interface BuildInfo {
  readonly name: string;
  /** `v` and the version, for example `v0.1.0`. */
  readonly tag: string;
  /** Commit it was made from; `unknown` when nobody said. */
  readonly sha: string;
}

/** A factory that is put together but does not listen yet. */
export interface Factory {
  /** Opens the listeners; rejects with the reason when one cannot be opened. */
  listen(): Promise<Listening>;
  /** Resolves with the reason when a listener fails while serving; never settles otherwise. */
  readonly failed: Promise<Error>;
  /** Stops accepting, waits up to `graceMs` for requests in flight, ends them, and frees everything. */
  close(graceMs: number): Promise<void>;
}

export interface Listening {
  readonly url: string;
  /** Absent without a metrics server. */
  readonly metricsUrl?: string;
}

export interface ComposeOptions {
  /** Directory of the embedded repositories, the local store and generated keys. */
  readonly dataDir?: string;
  readonly log: Log;
  /** For credentials of registries and the place of temporary files. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: BuildInfo;
}

/** Puts a factory together. Contacts no registry. Throws with the reason of a configuration it cannot serve. */
export type ComposeFactory = (config: Config, options: ComposeOptions) => Promise<Factory>;
