import type { z } from 'zod';
import { type Field, type Node, type Section, section, sectionOf } from './fields.ts';
import { artifacts } from './keys/artifacts.ts';
import { audit } from './keys/audit.ts';
import { authentication } from './keys/authentication.ts';
import { build } from './keys/build.ts';
import { cache } from './keys/cache.ts';
import { containerSignature } from './keys/container-signature.ts';
import { enterprise } from './keys/enterprise.ts';
import { http } from './keys/http.ts';
import { metrics } from './keys/metrics.ts';
import { registry } from './keys/registry.ts';
import { secureBoot } from './keys/secure-boot.ts';
import { store } from './keys/store.ts';

/**
 * The configuration. This schema is the only truth about it: types, decoding, environment names, defaults and
 * the documentation come from it, in this order of declaration (`spec/deployment.md` §7).
 */
export const configSchema = section('', {
  http,
  build,
  containerSignature,
  cache,
  metrics,
  secureBoot,
  artifacts,
  authentication,
  enterprise,
  registry,
  audit,
  store,
});

/** A whole configuration. Durations are in milliseconds, sizes in bytes. */
export type Config = z.output<typeof configSchema>;

/** One OCI repository of the configuration; any part may be empty. */
export type OciRepositoryConfig = Config['cache']['oci'];

/** All defaults. */
export function defaultConfig(): Config {
  return configSchema.parse({});
}

export interface FieldAt {
  readonly path: readonly string[];
  readonly field: Field;
}

/** All fields below a node, in order of declaration. */
export function* fieldsOf(node: Node, path: readonly string[] = []): Generator<FieldAt> {
  if (node.kind === 'field') yield { path, field: node };
  else for (const [key, member] of node.members) yield* fieldsOf(member, [...path, key]);
}

export const configRoot: Section = sectionOf(configSchema);

/** The value at a path of a configuration. */
export function valueAt(config: Config, path: readonly string[]): unknown {
  let value: unknown = config;
  for (const key of path) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  }
  return value;
}
