import { encodeSchematic } from '../../schematics/encode.ts';
import { emptySchematic, type OptionMap } from '../../schematics/schematic.ts';

const BEFORE = 'overlay:\n    image: ""\n    name: ""\n    options:\n';
const AFTER = 'customization: {}\n';
/** Columns of the options' keys in a schematic. */
const DEPTH = 8;

/**
 * The options of an overlay in the form that they have in a canonical schematic, at column 0; `{}` and a line break
 * when there are none. It is what installers read, and `/overlay/extra-options` of installer images
 * (`spec/outputs-installer.md` §2.4, §2.6).
 */
export function overlayOptionsYaml(options: OptionMap): string {
  if (options.size === 0) return '{}\n';
  const schematic = encodeSchematic({ ...emptySchematic(), overlay: { image: '', name: '', options } });
  const lines = schematic.slice(BEFORE.length, -AFTER.length).split('\n');
  return lines.map((line) => line.slice(DEPTH)).join('\n');
}

/** What `install` reads. Paths as the installer sees them. */
export function installRequestYaml(
  paths: { readonly disk: string; readonly root: string; readonly artifacts: string },
  options: OptionMap,
): string {
  // JSON strings are YAML's double-quoted scalars (YAML 1.2 §1.3).
  const request = [
    `installDisk: ${JSON.stringify(paths.disk)}`,
    `mountPrefix: ${JSON.stringify(paths.root)}`,
    `artifactsPath: ${JSON.stringify(paths.artifacts)}`,
    '',
  ].join('\n');
  if (options.size === 0) return request;
  const indented = overlayOptionsYaml(options).replace(/^(?=.)/gm, '    ');
  return `${request}extraOptions:\n${indented}`;
}
