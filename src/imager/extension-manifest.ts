import { parseAllDocuments, stringify } from 'yaml';
import { FactoryError } from '../errors.ts';

/** `manifest.yaml` of a system extension, as far as it is used (`spec/initramfs.md` §2.3). */
export interface ExtensionMetadata {
  readonly name: string;
  readonly version: string;
  readonly author: string;
  readonly description: string;
  /** Talos versions that the extension works with; `''` when it does not say. */
  readonly constraint: string;
  readonly extraInfo: string;
}

/** The most bytes that a manifest may have. */
export const MANIFEST_LIMIT = 1 << 20;

/**
 * Reads the first document of a manifest; unknown keys do not matter.
 * Throws `invalid` `EXTENSION_MANIFEST_INVALID`.
 */
export function parseExtensionManifest(text: string): ExtensionMetadata {
  // The failsafe schema leaves every scalar the text that it is: a version `1.10` is not the number 1.1.
  const document = [
    parseAllDocuments(text, { logLevel: 'silent', uniqueKeys: false, schema: 'failsafe' }),
  ].flat()[0];
  const problem = document?.errors[0];
  if (problem !== undefined)
    throw invalid(`extension manifest is not valid YAML: ${firstLine(problem.message)}`);
  let root: unknown;
  try {
    root = document?.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw invalid('extension manifest has too many aliases', error);
  }
  const version = scalarText(field(root, 'version'));
  if (version !== 'v1alpha1') throw invalid(`unsupported manifest version: ${JSON.stringify(version)}`);
  const metadata = field(root, 'metadata');
  return {
    name: scalarText(field(metadata, 'name')),
    version: scalarText(field(metadata, 'version')),
    author: scalarText(field(metadata, 'author')),
    description: scalarText(field(metadata, 'description')),
    constraint: scalarText(field(field(field(metadata, 'compatibility'), 'talos'), 'version')),
    extraInfo: scalarText(field(metadata, 'extraInfo')),
  };
}

export interface Layer {
  /** Name of the squashfs file at the root of the initramfs. */
  readonly image: string;
  readonly metadata: ExtensionMetadata;
}

/** `/extensions.yaml`, which the node reads to mount the layers in this order (`spec/initramfs.md` §6). */
export function extensionsYaml(layers: readonly Layer[]): string {
  const document = {
    layers: layers.map(({ image, metadata }) => ({
      image,
      metadata: {
        name: metadata.name,
        version: metadata.version,
        author: metadata.author,
        description: metadata.description,
        compatibility: { talos: { version: metadata.constraint } },
        ...(metadata.extraInfo === '' ? {} : { extraInfo: metadata.extraInfo }),
      },
    })),
  };
  // YAML 1.1 quotes what older parsers take for booleans and numbers.
  return stringify(document, { indent: 4, indentSeq: true, lineWidth: 0, version: '1.1' });
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
    return undefined;
  }
  return (value as Record<string, unknown>)[name];
}

function scalarText(value: unknown): string {
  if (value === undefined || value === 'null' || value === '~') return '';
  if (typeof value === 'string') return value;
  throw invalid('extension manifest has a list or a mapping where a text belongs');
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function invalid(message: string, cause?: unknown): FactoryError {
  return new FactoryError('invalid', 'EXTENSION_MANIFEST_INVALID', message, { cause });
}
