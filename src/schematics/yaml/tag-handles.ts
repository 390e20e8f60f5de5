import { syntaxError } from './errors.ts';
import type { TagDirectiveToken, TagToken } from './tokens.ts';

const YAML_TAGS = 'tag:yaml.org,2002:';

/** What the short forms of tags stand for in a document (YAML 1.1 §6.8.2). */
export class TagHandles {
  readonly #declared = new Map<string, string>();

  /** Notes a `%TAG` directive. */
  declare(directive: TagDirectiveToken): void {
    if (this.#declared.has(directive.handle)) {
      throw syntaxError('parser', 'found duplicate %TAG directive', directive.start);
    }
    this.#declared.set(directive.handle, directive.prefix);
  }

  /** The tag in full, those of YAML itself as `!!x`. */
  resolve(token: TagToken): string {
    const tag = this.#prefix(token) + token.suffix;
    return tag.startsWith(YAML_TAGS) ? `!!${tag.slice(YAML_TAGS.length)}` : tag;
  }

  #prefix({ handle, start }: TagToken): string {
    const declared = this.#declared.get(handle);
    if (declared !== undefined) return declared;
    if (handle === '' || handle === '!') return handle;
    if (handle === '!!') return YAML_TAGS;
    throw syntaxError('parser', 'found undefined tag handle', start, {
      while: 'while parsing a node',
      since: start,
    });
  }
}
