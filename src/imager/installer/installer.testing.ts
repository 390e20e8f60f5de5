import { bytesBlob } from '../../blob/bytes.ts';
import { concatBlobs } from '../../blob/compose.ts';
import { syntheticStub } from '../../formats/pe.testing.ts';
import type { Arch } from '../../talos/arch.ts';
import { ARCHES } from '../../talos/arch.ts';
import { type BuiltImage, buildImage, buildIndex, buildLayer } from '../../testing/image-builder.ts';
import { file } from '../../testing/tar-archive.ts';
import { diskCompressors } from '../encoders/compressors.ts';
import type { Slot } from '../imager.ts';
import type { TaskRunner } from '../task-runner.ts';
import { tasks } from '../tasks/registry.ts';
import type { InstallerInitramfs } from './installer-builder.ts';
import type { LayerTools } from './layer.ts';

/** Runs tasks right here. */
const runner: TaskRunner = {
  async runTask(name, input, options) {
    const task = (await tasks[name]()) as (input: unknown, signal: AbortSignal) => Promise<never>;
    return task(input, options?.signal ?? new AbortController().signal);
  },
};

export const layerTools = (): LayerTools => ({ compressors: diskCompressors(), tasks: runner });
export const slot: Slot = (work) => work();

/** The initramfs of the release with the names of its extensions behind it. */
export const plainInitramfs: InstallerInitramfs = {
  prepare: async () => ({ [Symbol.dispose]: () => {} }),
  build: async ({ extensions }, boot) => ({
    blob: concatBlobs([boot.initramfs, bytesBlob(Buffer.from(JSON.stringify(extensions)))]),
    [Symbol.dispose]: () => {},
  }),
};

/** What the base's configuration says, which the installer's repeats. */
export const baseConfig = (arch: Arch) => ({
  Entrypoint: ['/usr/bin/installer'],
  Env: [`ARCH=${arch}`],
  Labels: { 'alpha.talos.dev/version': 'v1' },
});

/** A base for both architectures, with so many layers. */
export function baseImage(layers: number): BuiltImage {
  const image = (arch: Arch): BuiltImage =>
    buildImage(
      arch,
      Array.from({ length: layers }, (_, i) =>
        buildLayer([file(`layer-${i}-${arch}`, `content ${i}`, 0o755)]),
      ),
      baseConfig(arch),
    );
  return buildIndex(ARCHES.map((arch) => ({ arch, image: image(arch) })));
}

/** A kernel, an initramfs, and EFI programs that can be taken apart, for both architectures. */
export function bootImage(): BuiltImage {
  const stub = syntheticStub();
  return buildImage('amd64', [
    buildLayer(
      ARCHES.flatMap((arch) => {
        const at = `usr/install/${arch}`;
        return [
          file(`${at}/vmlinuz`, Buffer.alloc(300_000, `kernel of ${arch} `)),
          file(`${at}/initramfs.xz`, Buffer.alloc(100_000, `initramfs of ${arch} `)),
          file(`${at}/systemd-boot.efi`, `boot ${arch}`),
          file(`${at}/systemd-stub.efi`, stub),
        ];
      }),
    ),
  ]);
}
