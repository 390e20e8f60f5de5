import { FactoryError } from '../../errors.ts';

/** A place in the text: line and column from 0, the column in Unicode characters. */
export interface Mark {
  readonly line: number;
  readonly column: number;
}

type Stage = 'reader' | 'scanner' | 'parser' | 'composer';

/** An error that makes a text no schematic. */
export function invalidSchematic(message: string): FactoryError {
  return new FactoryError('invalid', 'SCHEMATIC_INVALID', message);
}

/** A syntax error, in the words of `spec/schematic.md` §2.2: stage, what was being read since where, what was wrong. */
export function syntaxError(
  stage: Stage,
  message: string,
  at: Mark,
  context?: { readonly while: string; readonly since: Mark },
): FactoryError {
  const during = context === undefined ? '' : ` (${context.while})`;
  const since = context === undefined || sameMark(context.since, at) ? '' : `${position(context.since)}-`;
  return invalidSchematic(`go-yaml load error in ${stage}${during} at ${since}${position(at)}: ${message}`);
}

function position(mark: Mark): string {
  return `L${mark.line + 1}.C${mark.column + 1}`;
}

function sameMark(a: Mark, b: Mark): boolean {
  return a.line === b.line && a.column === b.column;
}
