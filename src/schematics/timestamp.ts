/** An instant with the offset it was written with. Two of the same text are the same. */
export interface Timestamp {
  readonly kind: 'timestamp';
  /** RFC 3339 without trailing zeros in the fraction: what stands in canonical YAML. */
  readonly text: string;
  /** Nanoseconds since the Unix epoch. */
  readonly instant: bigint;
}

const DATE = '([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})';
const TIME = '([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?';
const FORMS: readonly RegExp[] = [
  new RegExp(`^${DATE}$`),
  new RegExp(`^${DATE}[Tt]${TIME}(Z|[+-][0-9]{2}:[0-9]{2})$`),
  new RegExp(`^${DATE} +${TIME}$`),
];

/** Reads a plain scalar as a timestamp (`spec/schematic.md` §2.3); `undefined` when it is none. */
export function parseTimestamp(text: string): Timestamp | undefined {
  if (!/^[0-9]{4}-/.test(text)) return undefined;
  for (const form of FORMS) {
    const match = form.exec(text);
    if (match !== null) return fromParts(match);
  }
  return undefined;
}

function fromParts(match: RegExpExecArray): Timestamp | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const offset = parseOffset(match[8] ?? 'Z');
  if (offset === undefined) return undefined;
  // Digits beyond nanoseconds are dropped.
  const fraction = (match[7] ?? '').slice(0, 9).padEnd(9, '0');
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const instant = BigInt(date.getTime() - offset * 60000) * 1_000_000n + BigInt(fraction);
  const trimmed = fraction.replace(/0+$/, '');
  const zone = offset === 0 ? 'Z' : formatOffset(offset);
  const day2 = `${pad(year, 4)}-${pad(month)}-${pad(day)}T${pad(hour)}:${pad(minute)}:${pad(second)}`;
  return { kind: 'timestamp', text: `${day2}${trimmed === '' ? '' : `.${trimmed}`}${zone}`, instant };
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Minutes east of UTC. */
function parseOffset(zone: string): number | undefined {
  if (zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (hours > 24 || minutes > 60) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

function formatOffset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

function pad(value: number, digits = 2): string {
  return String(value).padStart(digits, '0');
}
