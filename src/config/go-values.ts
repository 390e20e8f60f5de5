/**
 * Values as operators write them in Go notation: the configuration keeps that notation, because existing files
 * and environments use it (`spec/configuration.md` §2.4).
 */

/** Nanoseconds of each unit that Go's `time.ParseDuration` knows (both micro signs). */
const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n],
  ['μs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

const LONGEST = 2n ** 63n - 1n;

/** What came of reading a value: the value, or what is wrong with it. */
export type Reading<T> = { readonly value: T } | { readonly problem: string };

/** A duration such as `1h30m`, `1.5h`, `300ms` or `0`, in milliseconds (fractions down to a nanosecond). */
export function parseDuration(text: string): Reading<number> {
  const negative = text.startsWith('-');
  let rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return { value: 0 };
  if (rest === '') return { problem: 'time: invalid duration' };
  let total = 0n;
  while (rest !== '') {
    const match = /^([0-9]*)(?:\.([0-9]*))?([^0-9.]*)/.exec(rest);
    const whole = match?.[1] ?? '';
    const fraction = match?.[2] ?? '';
    if (match === null || whole + fraction === '') return { problem: 'time: invalid duration' };
    if (match[3] === '' || match[3] === undefined) return { problem: 'time: missing unit in duration' };
    const unit = UNITS.get(match[3]);
    if (unit === undefined) return { problem: 'time: unknown unit' };
    if (whole.length + fraction.length > 40) return { problem: 'time: invalid duration' };
    total += BigInt(whole === '' ? '0' : whole) * unit;
    if (fraction !== '') total += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
    if (total > LONGEST) return { problem: 'time: invalid duration' };
    rest = rest.slice(match[0].length);
  }
  const milliseconds = Number(total) / 1e6;
  return { value: negative ? -milliseconds : milliseconds };
}

/** Milliseconds in Go's printed form: `5m0s`, `8h0m0s`, `1.5s`, `300ms`, `0s`. */
export function formatDuration(milliseconds: number): string {
  const nanoseconds = BigInt(Math.round(Math.abs(milliseconds) * 1e6));
  const sign = milliseconds < 0 && nanoseconds > 0n ? '-' : '';
  if (nanoseconds === 0n) return '0s';
  if (nanoseconds < 1_000n) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1_000_000n) return `${sign}${decimal(nanoseconds, 3)}µs`;
  if (nanoseconds < 1_000_000_000n) return `${sign}${decimal(nanoseconds, 6)}ms`;
  const minutes = nanoseconds / 60_000_000_000n;
  const seconds = `${decimal(nanoseconds % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return sign + seconds;
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value / 10^digits` without trailing zeros. */
function decimal(value: bigint, digits: number): string {
  const scale = 10n ** BigInt(digits);
  const fraction = (value % scale).toString().padStart(digits, '0').replace(/0+$/, '');
  return fraction === '' ? `${value / scale}` : `${value / scale}.${fraction}`;
}

const INTEGER =
  /^(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)$/;

/** An integer by Go's base-0 rules: `10`, `0x10`, `010` (octal), `0b1`, `1_000`; `undefined` when it is none. */
export function parseInteger(text: string): bigint | undefined {
  const unsigned = /^[+-]/.test(text) ? text.slice(1) : text;
  if (unsigned.length > 80 || !INTEGER.test(unsigned)) return undefined;
  const digits = unsigned.replaceAll('_', '').replace(/^0(?=[0-7])/, '0o');
  const value = BigInt(digits);
  return text.startsWith('-') ? -value : value;
}

/** A boolean by the rules of Go's `strconv.ParseBool`; `undefined` when it is none. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

/** Bytes a unit; the Kubernetes spellings (`Gi`) are accepted, the IEC ones (`GiB`) are printed. */
const SIZE_UNITS: readonly (readonly [string, number])[] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
];

/** A size such as `20GiB`, `20Gi`, `500MB`, `1.5 TiB` or a plain count of bytes. */
export function parseSize(text: string): Reading<number> {
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([a-zA-Z]*)$/.exec(text.trim());
  const number = Number(match?.[1]);
  const unit = (match?.[2] ?? '').toLowerCase();
  const known = SIZE_UNITS.find(([name]) => {
    const folded = name.toLowerCase();
    return folded === unit || folded === `${unit}b`;
  });
  const bytes = unit === '' || unit === 'b' ? number : known === undefined ? Number.NaN : number * known[1];
  if (match === null || !Number.isSafeInteger(Math.round(bytes))) {
    return { problem: 'invalid size: write it in bytes or with a unit, for example 20GiB or 500MB' };
  }
  return { value: Math.round(bytes) };
}

/** Bytes with the largest binary unit that divides them: `20GiB`, `1536MiB`, `1000`. */
export function formatSize(bytes: number): string {
  for (const [name, unit] of SIZE_UNITS.slice(0, 4)) {
    if (bytes > 0 && bytes % unit === 0) return `${bytes / unit}${name}`;
  }
  return `${bytes}`;
}
