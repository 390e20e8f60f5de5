import type { Mark } from './errors.ts';

/** The structure of a text as its indicators and its indentation give it (YAML 1.1 §5.3). */
export type Token = IndicatorToken | ScalarToken | NameToken | TagToken | VersionToken | TagDirectiveToken;

interface Placed {
  readonly start: Mark;
  readonly end: Mark;
}

export interface IndicatorToken extends Placed {
  readonly kind:
    | 'stream-end'
    | 'document-start'
    | 'document-end'
    | 'block-sequence-start'
    | 'block-mapping-start'
    | 'block-end'
    | 'flow-sequence-start'
    | 'flow-sequence-end'
    | 'flow-mapping-start'
    | 'flow-mapping-end'
    | 'block-entry'
    | 'flow-entry'
    | 'key'
    | 'value';
}

export interface ScalarToken extends Placed {
  readonly kind: 'scalar';
  readonly value: string;
  /** Neither quoted nor a block: its type follows from its text. */
  readonly plain: boolean;
}

export interface NameToken extends Placed {
  readonly kind: 'anchor' | 'alias';
  readonly name: string;
}

/** `!!str` has the handle `!!`, `!local` the handle `!`, `!<uri>` none. */
export interface TagToken extends Placed {
  readonly kind: 'tag';
  readonly handle: string;
  readonly suffix: string;
}

export interface VersionToken extends Placed {
  readonly kind: 'version-directive';
  readonly major: number;
  readonly minor: number;
}

export interface TagDirectiveToken extends Placed {
  readonly kind: 'tag-directive';
  readonly handle: string;
  readonly prefix: string;
}
