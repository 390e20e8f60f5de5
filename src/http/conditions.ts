/** What is known of a representation when the preconditions of a request are judged. */
export interface Validators {
  /** Opaque tag without quotes; strong. */
  readonly etag: string;
  /** Seconds since the Unix epoch; absent when bytes may change without a new date. */
  readonly lastModified: number | undefined;
}

export type Header = (name: string) => string | undefined;

/** The preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2, `If-Range` apart. */
export function judgeConditions(header: Header, validators: Validators): 'go' | 'not-modified' | 'failed' {
  const ifMatch = header('if-match');
  const since = httpDate(header('if-unmodified-since'));
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, validators.etag, 'strong')) return 'failed';
  } else if (
    since !== undefined &&
    validators.lastModified !== undefined &&
    validators.lastModified > since
  ) {
    return 'failed';
  }
  const ifNoneMatch = header('if-none-match');
  if (ifNoneMatch !== undefined) {
    return matches(ifNoneMatch, validators.etag, 'weak') ? 'not-modified' : 'go';
  }
  const modified = httpDate(header('if-modified-since'));
  const unchanged =
    modified !== undefined && validators.lastModified !== undefined && validators.lastModified <= modified;
  return unchanged ? 'not-modified' : 'go';
}

/** Whether `Range` counts (RFC 9110 §13.1.5): without `If-Range` always, else only for exactly these bytes. */
export function rangeApplies(header: Header, validators: Validators): boolean {
  const field = header('if-range')?.trim();
  if (field === undefined) return true;
  if (field.startsWith('"')) return field === `"${validators.etag}"`;
  return validators.lastModified !== undefined && httpDate(field) === validators.lastModified;
}

/** RFC 9110 §8.8.3: `[W/]"opaque"`, where the opaque part has no quotes. */
const ENTITY_TAG = /[ \t,]*(W\/)?"([!\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)/y;

function matches(field: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (field.trim() === '*') return true;
  ENTITY_TAG.lastIndex = 0;
  for (let tag = ENTITY_TAG.exec(field); tag !== null; tag = ENTITY_TAG.exec(field)) {
    if (tag[2] === etag && (comparison === 'weak' || tag[1] === undefined)) return true;
  }
  return false;
}

/** IMF-fixdate only (RFC 9110 §5.6.7): `Sat, 01 Jun 2019 21:21:32 GMT`; the obsolete forms are ignored. */
function httpDate(field: string | undefined): number | undefined {
  if (
    field === undefined ||
    !/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(field)
  ) {
    return undefined;
  }
  const milliseconds = Date.parse(field);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000;
}

export function formatHttpDate(seconds: number): string {
  return new Date(seconds * 1000).toUTCString();
}
