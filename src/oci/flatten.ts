import { createHash } from 'node:crypto';
import { type FileHandle, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FactoryError, withContext } from '../errors.ts';
import { confinePath } from '../formats/tar-path.ts';
import { readTar, type TarMember } from '../formats/tar-reader.ts';
import { badAnswer } from './errors.ts';
import { type FlatNode, FlatTree, type NodeFacts, type StoredContent } from './flat-tree.ts';
import type { ImageManifest } from './image.ts';
import { layerStream } from './layer-stream.ts';
import { DOCKER_CONFIG, MAX_MANIFEST, OCI_CONFIG } from './media-types.ts';
import { type Digest, isDigest } from './names.ts';
import type { RepositoryReader } from './repository.ts';
import { CONTENT_FILE, formatTreeIndex, INDEX_FILE } from './tree-index.ts';

export interface FlattenLimits {
  /** Members of all layers together; 500 000 when absent. */
  readonly entries?: number;
  /** Uncompressed bytes of all layers together; 16 GiB when absent. */
  readonly bytes?: number;
  /** Bytes of names, link targets and extended attributes; 128 MiB when absent. */
  readonly metadata?: number;
}

export interface FlattenOptions {
  /** Which paths are taken; all when absent. Directories above what is taken are kept too. */
  readonly filter?: (path: string) => boolean;
  readonly limits?: FlattenLimits;
  readonly signal?: AbortSignal;
}

export interface FlattenResult {
  readonly entries: number;
  /** Bytes of the content file. */
  readonly bytes: number;
}

const DEFAULT_LIMITS = { entries: 500_000, bytes: 16 * 2 ** 30, metadata: 128 << 20 };
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Applies the layers of an image in order and writes the result into `directory` (which exists): `content`, the
 * files back to back, and `index.json`; `openImageTree` reads them. Everything is verified by digest and streamed.
 *
 * Names are confined to the root (a leading `/` and `..` lead nowhere), the last member of a name counts, hard
 * links become files with the content of their target, devices and fifos are kept as what they are, owners and
 * times are dropped. The root itself is not an entry. Errors: `OCI_LAYER_INVALID`, `OCI_LAYER_LIMIT`,
 * `OCI_IMAGE_UNKNOWN`, `OCI_DIGEST_MISMATCH`, and those of the tar reader, with the layer named.
 */
export async function flattenInto(
  repository: RepositoryReader,
  image: ImageManifest,
  directory: string,
  options: FlattenOptions = {},
): Promise<FlattenResult> {
  const diffIds = await readDiffIds(repository, image, options.signal);
  // Files that are not taken themselves, but that taken hard links are links to. They are known only after the
  // layers were read once; images of this kind are rare, so they are then read again.
  const wanted = new Set<string>();
  for (;;) {
    const path = join(directory, CONTENT_FILE);
    await rm(path, { force: true });
    await using file = await open(path, 'wx', 0o644);
    const run = new Flattening(repository, file, wanted, options);
    for (const [number, layer] of image.layers.entries()) {
      try {
        await run.apply(layer, diffIds?.[number]);
      } catch (error) {
        if (error instanceof FactoryError && !error.message.startsWith(repository.name)) {
          const upstream = error.kind === 'invalid' ? asUpstream(error) : error;
          throw withContext(`${repository.name}: layer ${layer.digest}`, upstream);
        }
        throw error;
      }
    }
    const { nodes, missing } = run.result();
    if (missing.size > 0) {
      const before = wanted.size;
      for (const origin of missing) wanted.add(origin);
      if (wanted.size === before)
        throw badAnswer('OCI_LAYER_INVALID', `${repository.name}: links in a circle`);
      continue;
    }
    await file.truncate(run.position);
    await writeFile(join(directory, INDEX_FILE), formatTreeIndex(image.descriptor.digest, nodes), {
      flag: 'w',
    });
    return { entries: nodes.length, bytes: run.position };
  }
}

/** A layer that cannot be read is not the fault of who asked for the image. */
function asUpstream(error: FactoryError): FactoryError {
  return new FactoryError('upstream', error.code, error.message, { cause: error });
}

/** The digests of the uncompressed layers, when the image has a config that tells them. */
async function readDiffIds(
  repository: RepositoryReader,
  image: ImageManifest,
  signal: AbortSignal | undefined,
): Promise<readonly Digest[] | undefined> {
  const { mediaType, digest, size } = image.config;
  if (mediaType !== OCI_CONFIG && mediaType !== DOCKER_CONFIG) return undefined;
  const thing = `${repository.name}: config ${digest}`;
  if (size > MAX_MANIFEST) throw badAnswer('OCI_RESPONSE_TOO_LARGE', `${thing} has ${size} bytes`);
  const stream = await repository.openBlob(digest, signal === undefined ? {} : { signal });
  if (stream === undefined) throw badAnswer('OCI_IMAGE_UNKNOWN', `${thing} is named by its image but absent`);
  const chunks: Uint8Array[] = [];
  let seen = 0;
  for await (const chunk of stream) {
    seen += chunk.length;
    if (seen > size)
      throw badAnswer('OCI_SIZE_MISMATCH', `${thing}: more than the ${size} bytes it should have`);
    chunks.push(chunk);
  }
  let config: { rootfs?: { diff_ids?: unknown } } | null;
  try {
    config = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw badAnswer('OCI_MANIFEST_INVALID', `${thing} is not JSON`, cause);
  }
  const diffIds: unknown = config?.rootfs?.diff_ids;
  if (!Array.isArray(diffIds) || diffIds.length !== image.layers.length) {
    throw badAnswer('OCI_MANIFEST_INVALID', `${thing} does not name a diff_id for each layer`);
  }
  return diffIds.map((diffId) => {
    if (typeof diffId !== 'string' || !isDigest(diffId)) {
      throw badAnswer('OCI_MANIFEST_INVALID', `${thing} names a diff_id that is not a digest`);
    }
    return diffId;
  });
}

/** One pass over the layers. */
class Flattening {
  readonly #repository: RepositoryReader;
  readonly #file: FileHandle;
  readonly #wanted: ReadonlySet<string>;
  readonly #options: FlattenOptions;
  readonly #limits: Required<FlattenLimits>;
  readonly #tree = new FlatTree();
  /** Where bytes are that were met before: equal files are kept once. */
  readonly #known = new Map<string, StoredContent>();
  #members = 0;
  #bytes = 0;
  #metadata = 0;
  /** The end of the content file. */
  position = 0;

  constructor(
    repository: RepositoryReader,
    file: FileHandle,
    wanted: ReadonlySet<string>,
    options: FlattenOptions,
  ) {
    this.#repository = repository;
    this.#file = file;
    this.#wanted = wanted;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
  }

  async apply(layer: ImageManifest['layers'][number], diffId: Digest | undefined): Promise<void> {
    const { signal } = this.#options;
    this.#tree.nextLayer();
    const stream = layerStream(this.#repository, layer, {
      diffId,
      signal,
      onBytes: (count) => {
        this.#bytes += count;
        if (this.#bytes > this.#limits.bytes) throw beyond(`bytes (${this.#limits.bytes})`);
      },
    });
    for await (const member of readTar(stream, { members: this.#limits.entries + 1, content: 2 ** 52 })) {
      signal?.throwIfAborted();
      await this.#take(member);
    }
  }

  /** What is taken, in tree order, and the origins of content that a taken file needs and that was not kept. */
  result(): { readonly nodes: readonly FlatNode[]; readonly missing: ReadonlySet<string> } {
    const { filter } = this.#options;
    const missing = new Set<string>();
    const nodes: FlatNode[] = [];
    /** Directories that are on the way to the present node and not in `nodes`. */
    let way: FlatNode[] = [];
    for (const node of this.#tree.nodes()) {
      way = way.filter(({ path }) => node.path.startsWith(`${path}/`));
      if (filter !== undefined && !filter(node.path)) {
        if (node.facts.type === 'directory') way.push(node);
        continue;
      }
      nodes.push(...way.splice(0), node);
      if (node.facts.type === 'file' && node.facts.content === undefined) missing.add(node.facts.origin);
    }
    return { nodes, missing };
  }

  async #take(member: TarMember): Promise<void> {
    const path = confinePath(member.name);
    this.#count(member);
    if (path === '') return;
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (name.startsWith(WHITEOUT)) {
      this.#whiteout(slash < 0 ? '' : path.slice(0, slash), name);
      return;
    }
    const { mode, xattrs } = member;
    switch (member.type) {
      case 'directory':
        this.#tree.put(path, { type: 'directory', mode, xattrs });
        return;
      case 'symlink':
        this.#tree.put(path, { type: 'symlink', mode: 0o777, xattrs, target: member.linkName });
        return;
      case 'hard-link':
        this.#tree.put(path, this.#linked(path, confinePath(member.linkName)));
        return;
      case 'file': {
        const place = this.#tree.place(path);
        const isTaken = (this.#options.filter?.(place) ?? true) || this.#wanted.has(place);
        const content = isTaken ? await this.#store(member) : undefined;
        this.#tree.put(path, { type: 'file', mode, xattrs, content, origin: place });
        return;
      }
      default: {
        const { type, devMajor: major, devMinor: minor } = member;
        this.#tree.put(path, { type, mode, xattrs, major, minor });
      }
    }
  }

  #count(member: TarMember): void {
    if (++this.#members > this.#limits.entries) throw beyond(`members (${this.#limits.entries})`);
    this.#metadata += member.name.length + member.linkName.length;
    for (const [name, value] of member.xattrs) this.#metadata += name.length + value.length;
    if (this.#metadata > this.#limits.metadata) {
      throw beyond(`bytes of names and attributes (${this.#limits.metadata})`);
    }
    // Directories that are only implied count as well: a long path makes many.
    if (this.#tree.count > this.#limits.entries) throw beyond(`entries (${this.#limits.entries})`);
  }

  #whiteout(directory: string, name: string): void {
    if (name === OPAQUE) {
      this.#tree.opaque(directory);
      return;
    }
    const hidden = name.slice(WHITEOUT.length);
    // Other names of this form are notes that aufs made for itself (image-spec 1.1 does not know them).
    if (hidden.startsWith(WHITEOUT)) return;
    if (hidden === '' || hidden === '.' || hidden === '..') {
      throw badAnswer(
        'OCI_LAYER_INVALID',
        `the whiteout ${JSON.stringify(`${directory}/${name}`)} names nothing`,
      );
    }
    this.#tree.whiteout(directory === '' ? hidden : `${directory}/${hidden}`);
  }

  #linked(path: string, target: string): NodeFacts {
    const facts = this.#tree.get(target);
    if (facts === undefined || facts.type === 'directory') {
      const why = facts === undefined ? 'which is not there' : 'which is a directory';
      throw badAnswer(
        'OCI_LAYER_INVALID',
        `the member ${JSON.stringify(path)} is a hard link to ${JSON.stringify(target)}, ${why}`,
      );
    }
    return facts;
  }

  async #store(member: TarMember): Promise<StoredContent> {
    const hash = createHash('sha256');
    const start = this.position;
    let at = start;
    let isPacked = false;
    // One chunk is written while the next one is on its way.
    let writing: Promise<void> = Promise.resolve();
    try {
      for await (const chunk of member.content) {
        if (at === start) isPacked = isPackedContent(chunk);
        await writing;
        writing = this.#write(chunk, at);
        // Thrown when it is waited for.
        writing.catch(() => {});
        hash.update(chunk);
        at += chunk.length;
      }
    } finally {
      await writing;
    }
    const sha256 = hash.digest('hex');
    const known = this.#known.get(sha256);
    // The same bytes again: the place they were written to is free for the next file.
    if (known !== undefined) return known;
    const content: StoredContent = { offset: start, size: at - start, sha256, isPacked };
    this.#known.set(sha256, content);
    this.position = at;
    return content;
  }

  async #write(chunk: Uint8Array, position: number): Promise<void> {
    for (let written = 0; written < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(
        chunk,
        written,
        chunk.length - written,
        position + written,
      );
      written += bytesWritten;
    }
  }
}

/** Magic numbers of what is compressed already: gzip, xz, zstd, bzip2, squashfs. */
const PACKED = ['1f8b', 'fd377a585a00', '28b52ffd', '425a68', '68737173'];

function isPackedContent(head: Uint8Array): boolean {
  const hex = Buffer.from(head.subarray(0, 6)).toString('hex');
  return PACKED.some((magic) => hex.startsWith(magic));
}

function beyond(what: string): FactoryError {
  return badAnswer('OCI_LAYER_LIMIT', `the image has more ${what} than are taken`);
}
