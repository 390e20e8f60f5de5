import type { Message } from '../http/result.ts';
import { isPlainHttpHost } from '../oci/endpoint.ts';

/** The public name of the registry that the images are pushed to (`artifacts.installer.external`). */
export interface ExternalRegistry {
  /** `host[:port]`. */
  readonly registry: string;
  /** What comes before `<image>/<schematic>` there; may be empty. */
  readonly path: string;
  readonly insecure: boolean;
}

/** Sends the client there (`spec/registry.md` §6). */
export function redirect(external: ExternalRegistry, path: string): Message {
  const { registry, path: base, insecure } = external;
  const scheme = insecure || isPlainHttpHost(registry) ? 'http' : 'https';
  const prefix = base.split('/').filter((part) => part !== '');
  const location = `${scheme}://${registry}/v2/${[...prefix, path].join('/')}`;
  return { kind: 'message', status: 307, headers: { Location: location, 'Cache-Control': 'no-cache' } };
}
