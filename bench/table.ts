/** One line of the result. */
export interface Row {
  readonly what: string;
  readonly tools: string;
  readonly ours: string;
  readonly result: string;
  /** `''` for what is told beside what is wanted. */
  readonly wanted: string;
  readonly met?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[middle]];
  if (low === undefined || high === undefined) throw new RangeError('no values');
  return (low + high) / 2;
}

/** One repetition: both ways, one right after the other. Seconds. */
export interface Pair {
  readonly tools: number;
  readonly ours: number;
}

/** How many times faster we are: the median of the ratios of the pairs. */
export function speedRow(what: string, pairs: readonly Pair[], atLeast: number): Row {
  const ratio = median(pairs.map(({ tools, ours }) => tools / ours));
  return {
    what,
    tools: seconds(median(pairs.map(({ tools }) => tools))),
    ours: seconds(median(pairs.map(({ ours }) => ours))),
    result: `${ratio.toFixed(1)} x`,
    wanted: `>= ${atLeast} x`,
    met: ratio >= atLeast,
  };
}

/** How much larger our file is. */
export function sizeRow(what: string, tools: number, ours: number, atMost: number): Row {
  const percent = (ours / tools - 1) * 100;
  return {
    what,
    tools: mebibytes(tools),
    ours: mebibytes(ours),
    result: `${percent >= 0 ? '+' : ''}${percent.toFixed(1)} %`,
    wanted: `<= +${atMost} %`,
    met: percent <= atMost,
  };
}

/** A figure of ours that must stay below a limit. */
export function limitRow(what: string, value: string, limit: string, met: boolean): Row {
  return { what, tools: '', ours: value, result: '', wanted: `<= ${limit}`, met };
}

export function seconds(value: number): string {
  return value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(2)} s`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

export function formatTable(rows: readonly Row[]): string {
  const head = ['', 'tools', 'ours', '', 'wanted', 'met'];
  const lines = [
    head,
    ...rows.map((row) => [
      row.what,
      row.tools,
      row.ours,
      row.result,
      row.wanted,
      row.met === undefined ? '' : row.met ? 'yes' : 'NO',
    ]),
  ];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
