import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { buildLayer } from '../src/testing/image-builder.ts';
import { noise } from '../src/testing/sandbox/extensions.ts';
import { type ArchiveEntry, directory, file } from '../src/testing/tar-archive.ts';

/** An extension with the content of real ones: it differs in nothing but where the files are from. */
export interface BenchExtension {
  readonly name: string;
  readonly content: string;
  /** Bytes of its files. */
  readonly size: number;
  readonly layer: ReturnType<typeof buildLayer>;
}

const MIB = 1 << 20;
const MODULES = join(import.meta.dirname, '../node_modules');

/** Three extensions of together 50 MiB: programs, an interpreter with its library, firmware with its tools. */
export async function benchExtensions(): Promise<readonly BenchExtension[]> {
  const compiler = await readFile(join(nativeCompiler(), 'tsc'));
  const node = await readFile(join(MODULES, 'node/bin/node'));
  return [
    extension('bench-runtime', 'a Go program (the TypeScript compiler)', [
      file('usr/local/bin/runtime', compiler.subarray(0, 24 * MIB), 0o755),
    ]),
    extension('bench-agent', '12 MiB of a C++ program (Node.js), JavaScript and type declarations', [
      file('usr/local/bin/agent', node.subarray(40 * MIB, 52 * MIB), 0o755),
      ...(await textFiles(6 * MIB)),
    ]),
    extension('bench-gpu', '4 MiB of a C++ program, 4 MiB of firmware that cannot be compressed', [
      file('usr/local/lib/libgpu.so', node.subarray(52 * MIB, 56 * MIB), 0o755),
      directory('usr/lib/firmware'),
      ...[1, 2, 3, 4].map((seed) => file(`usr/lib/firmware/gpu-${seed}.bin`, noise(seed, MIB))),
    ]),
  ];
}

/** Where npm has put the native compiler of this machine. */
function nativeCompiler(): string {
  const require = createRequire(join(MODULES, 'typescript/package.json'));
  const name = `@typescript/typescript-${process.platform}-${process.arch}`;
  return join(dirname(require.resolve(`${name}/package.json`)), 'lib');
}

/** Sources and declarations of the packages, sorted by path, as many as fit. */
async function textFiles(limit: number): Promise<readonly ArchiveEntry[]> {
  const found: ArchiveEntry[] = [];
  let left = limit;
  for (const name of ['undici', 'yaml', 'zod', 'fast-check', 'prom-client']) {
    const entries = await readdir(join(MODULES, name), { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile() && /\.(?:c|m)?(?:js|ts)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths.sort()) {
      const target = `usr/local/lib/agent${path.slice(MODULES.length)}`;
      const content = await readFile(path);
      // ustar has no room for longer ones (`tarArchive`).
      if (content.length > left || `rootfs/${target}`.length > 100) continue;
      left -= content.length;
      found.push(file(target, content));
    }
  }
  return found;
}

function extension(name: string, content: string, entries: readonly ArchiveEntry[]): BenchExtension {
  const manifest = [
    'version: v1alpha1',
    'metadata:',
    `  name: ${name}`,
    '  version: 1.0.0',
    '  author: Benchmark',
    '  description: Content like that of real extensions',
    '  compatibility:',
    '    talos:',
    '      version: ">= v1.0.0"',
    '',
  ].join('\n');
  const layer = buildLayer([
    file('manifest.yaml', manifest),
    directory('rootfs'),
    ...entries.map((entry) => ({ ...entry, path: `rootfs/${entry.path}` })),
  ]);
  const size = entries.reduce(
    (sum, entry) => sum + (entry.type === 'file' ? Buffer.byteLength(entry.content) : 0),
    0,
  );
  return { name: `siderolabs/${name}`, content, size, layer };
}
