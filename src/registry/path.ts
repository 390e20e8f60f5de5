import { registryError } from './errors.ts';

/** What a path below `/v2` asks for (`spec/registry.md` §2). */
export type RegistryPath =
  | { readonly kind: 'ping' }
  | {
      readonly kind: 'installer';
      readonly image: string;
      readonly schematicId: string;
      readonly resource: Resource;
      readonly reference: string;
    }
  | {
      readonly kind: 'source';
      /** `imager`, `installer-base`, ... */
      readonly name: string;
      readonly resource: Resource | 'tags';
      readonly reference: string;
    };

const RESOURCES = ['manifests', 'blobs', 'referrers'] as const;
export type Resource = (typeof RESOURCES)[number];

/** Images of the release are found under the name that they have upstream. */
const SOURCE = 'siderolabs';

/** Throws `not-found` `REGISTRY_PATH_UNKNOWN`. */
export function parseRegistryPath(path: string): RegistryPath {
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  if (trimmed === '') return { kind: 'ping' };
  const unknown = (): Error =>
    registryError('not-found', 'REGISTRY_PATH_UNKNOWN', `unknown registry path: ${JSON.stringify(path)}`);
  const segments = trimmed.split('/');
  const reference = segments.pop();
  const resource = segments.pop();
  const [first, second] = segments;
  if (reference === undefined || resource === undefined || first === undefined) throw unknown();
  const known = RESOURCES.find((one) => one === resource);
  if (first === SOURCE) {
    const name = segments.slice(1).join('/');
    if (name === '') throw unknown();
    if (known !== undefined) return { kind: 'source', name, resource: known, reference };
    if (resource === 'tags' && reference === 'list')
      return { kind: 'source', name, resource: 'tags', reference };
    throw unknown();
  }
  if (known === undefined || second === undefined || segments.length !== 2) throw unknown();
  return { kind: 'installer', image: first, schematicId: second, resource: known, reference };
}
