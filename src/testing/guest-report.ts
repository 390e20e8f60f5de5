/** A layer of `extensions.yaml` as the guest read it, in its order. */
export interface GuestLayer {
  readonly image: string;
  readonly name: string;
  readonly version: string;
}

/** What the sandbox guest saw (`guest/init.sh`). Texts are cut to 400 characters. */
export interface GuestReport {
  /** From `/etc/os-release` of the base root file system: `v1.10.1`. */
  readonly version: string;
  /** As `uname -m` says: `x86_64`, `aarch64`. */
  readonly machine: string;
  readonly kernel: string;
  readonly cmdline: string;
  readonly boot: 'bios' | 'efi';
  /** EFI variables of boot loader and stub, and `SecureBoot` as `0` or `1`. */
  readonly efi: ReadonlyMap<string, string>;
  readonly layers: readonly GuestLayer[];
  /** Version of the layer `schematic`. */
  readonly schematic: string | undefined;
  /** First line of small files, `sha256:<hex>` of others, by absolute path. */
  readonly files: ReadonlyMap<string, string>;
  /** `loaded`, or `failed: ` and the reason, by module name. */
  readonly modules: ReadonlyMap<string, string>;
  /** SHA-256 by path, of what the initramfs itself holds. */
  readonly firmware: ReadonlyMap<string, string>;
  readonly microcode: ReadonlyMap<string, string>;
  /** `0xa=value`, in order, from the command line. */
  readonly metaArgument: readonly string[];
  /** Values on a disk's META partition, by key (`0xa`). */
  readonly meta: ReadonlyMap<string, string>;
  /** `digest=right copies=equal`, `empty`, or `undefined` when no disk has such a partition. */
  readonly metaDisk: string | undefined;
  /** What the guest could not do. */
  readonly errors: readonly string[];
}

/** The report in a serial log, or `undefined` when the guest did not come to its end. */
export function parseGuestReport(log: string): GuestReport | undefined {
  const lines: [verb: string, rest: string][] = [];
  for (const line of log.split('\n')) {
    const match = /SANDBOX ([a-z-]+)[ =]?(.*)$/.exec(line.replaceAll('\r', ''));
    if (match !== null) lines.push([match[1] ?? '', match[2] ?? '']);
  }
  const start = lines.findLastIndex(([verb]) => verb === 'begin');
  const report = start < 0 ? [] : lines.slice(start);
  if (!report.some(([verb]) => verb === 'end')) return undefined;

  const all = (verb: string): readonly string[] =>
    report.filter((line) => line[0] === verb).map((line) => line[1]);
  const one = (verb: string): string | undefined => all(verb)[0];
  const map = (verb: string): ReadonlyMap<string, string> => new Map(all(verb).map(splitPair));
  const words = (text: string): ReadonlyMap<string, string> => new Map(text.split(' ').map(splitPair));
  const begin = words(one('begin') ?? '');
  return {
    version: one('version') ?? '',
    machine: begin.get('arch') ?? '',
    kernel: begin.get('kernel') ?? '',
    cmdline: (one('cmdline') ?? '').trim(),
    boot: one('boot') === 'efi' ? 'efi' : 'bios',
    efi: map('efi'),
    layers: all('layer').map((text) => {
      const fields = words(text);
      return {
        image: fields.get('image') ?? '',
        name: fields.get('name') ?? '',
        version: fields.get('version') ?? '',
      };
    }),
    schematic: one('schematic'),
    files: map('file'),
    modules: map('module'),
    firmware: map('firmware'),
    microcode: map('microcode'),
    metaArgument: all('meta-argument'),
    meta: map('meta'),
    metaDisk: one('meta-disk'),
    errors: all('error'),
  };
}

function splitPair(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
