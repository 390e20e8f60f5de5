interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
}

/**
 * The one of `offers` that `Accept` likes best (RFC 9110 §12.5.1): by quality, then by how exactly it is named,
 * then by the order of `offers`. The first offer when the field is absent or likes none: a body in an unwanted
 * form is better than none.
 */
export function negotiate<T extends string>(field: string | undefined, offers: readonly [T, ...T[]]): T {
  const ranges = (field ?? '').slice(0, 4096).split(',').map(parseMediaRange);
  let best: { readonly offer: T; readonly quality: number; readonly exactness: number } | undefined;
  for (const offer of offers) {
    const { quality, exactness } = rate(offer, ranges);
    if (quality === 0) continue;
    if (
      best === undefined ||
      quality > best.quality ||
      (quality === best.quality && exactness > best.exactness)
    ) {
      best = { offer, quality, exactness };
    }
  }
  return best?.offer ?? offers[0];
}

function rate(
  offer: string,
  ranges: readonly (MediaRange | undefined)[],
): { quality: number; exactness: number } {
  const [type, subtype] = offer.split('/');
  let found = { quality: 0, exactness: -1 };
  for (const range of ranges) {
    if (range === undefined) continue;
    const exactness = range.type === '*' ? 0 : range.subtype === '*' ? 1 : 2;
    const fits =
      (range.type === '*' || range.type === type) && (range.subtype === '*' || range.subtype === subtype);
    if (fits && exactness > found.exactness) found = { quality: range.quality, exactness };
  }
  return found;
}

function parseMediaRange(text: string): MediaRange | undefined {
  const [range, ...parameters] = text.split(';');
  const match = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\/([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*$/.exec(range ?? '');
  if (match === null) return undefined;
  let quality = 1;
  for (const parameter of parameters) {
    const weight = /^\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/i.exec(parameter);
    if (weight !== null) quality = Number(weight[1]);
  }
  return { type: (match[1] ?? '').toLowerCase(), subtype: (match[2] ?? '').toLowerCase(), quality };
}
