/** The most names that are suggested. */
const MOST = 3;
/** Names are compared up to this length: longer ones are not typing mistakes. */
const LONGEST = 100;

/**
 * Names that may have been meant: those that end alike (`gvisor` for `siderolabs/gvisor`), and those within a few
 * keystrokes; the closest first.
 */
export function closeNames(name: string, known: Iterable<string>): readonly string[] {
  if (name === '' || name.length > LONGEST) return [];
  const asked = lastPart(name);
  const allowed = Math.max(1, Math.floor(asked.length / 4));
  const scored: { readonly candidate: string; readonly distance: number }[] = [];
  for (const candidate of new Set(known)) {
    const distance = editDistance(asked, lastPart(candidate), allowed);
    if (distance <= allowed) scored.push({ candidate, distance });
  }
  return scored
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, MOST)
    .map(({ candidate }) => candidate);
}

/** `; did you mean "a" or "b"?`, or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const names = closeNames(name, known).map((close) => JSON.stringify(close));
  return names.length === 0 ? '' : `; did you mean ${names.join(' or ')}?`;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).toLowerCase();
}

/** Levenshtein distance; any number above `limit` when it is more than that. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
