import { Document, isScalar, type Scalar, visit } from 'yaml';
import { quoteDotenv } from './dotenv.ts';
import { printed } from './fields.ts';
import { type Config, configRoot, fieldsOf, valueAt } from './schema.ts';

export const RENDER_FORMATS = ['yaml', 'env', 'json'] as const;
export type RenderFormat = (typeof RENDER_FORMATS)[number];

/** A configuration as a file in that format, sorted by key; secrets are not shown. */
export function renderConfig(config: Config, format: RenderFormat): string {
  switch (format) {
    case 'yaml':
      return renderYaml(config);
    case 'env':
      return renderEnv(config);
    case 'json':
      return `${JSON.stringify(sortedTree(config), null, 4)}\n`;
  }
}

/** The name of the variable of a key, with a prefix. */
export function variableName(path: readonly string[], prefix: string): string {
  return prefix + path.join('_').toUpperCase();
}

interface PrintedTree {
  [key: string]: PrintedTree | ReturnType<typeof printed>;
}

function sortedTree(config: Config): PrintedTree {
  const root: PrintedTree = {};
  const fields = [...fieldsOf(configRoot)].sort((a, b) => (a.path.join('\0') < b.path.join('\0') ? -1 : 1));
  for (const { path, field } of fields) {
    let tree = root;
    for (const key of path.slice(0, -1)) {
      const below = tree[key];
      if (typeof below === 'object' && !Array.isArray(below)) tree = below as PrintedTree;
      else {
        const made: PrintedTree = {};
        tree[key] = made;
        tree = made;
      }
    }
    tree[path.at(-1) ?? ''] = printed(field, valueAt(config, path));
  }
  return root;
}

/**
 * Texts in double quotes, as the users' documents have them: the empty one, several lines, and what YAML 1.1 readers
 * take for a number in base 60.
 */
const DOUBLE_QUOTED = /^$|\n|^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;

function renderYaml(config: Config): string {
  const document = new Document(sortedTree(config));
  visit(document, {
    Scalar: (_, node) => {
      if (isText(node) && DOUBLE_QUOTED.test(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ indent: 4, lineWidth: 0, singleQuote: true });
}

function isText(node: unknown): node is Scalar<string> {
  return isScalar(node) && typeof node.value === 'string';
}

function renderEnv(config: Config): string {
  const lines: string[] = [];
  for (const { path, field } of fieldsOf(configRoot)) {
    const value = printed(field, valueAt(config, path));
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    lines.push(`${variableName(path, 'IF_')}=${quoteDotenv(text)}`);
  }
  return `${lines.sort().join('\n')}\n`;
}
