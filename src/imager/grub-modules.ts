/**
 * `modules` and everything they depend on, sorted, by GRUB's `moddep.lst` (`name: dependency dependency`).
 */
export function moduleClosure(moddep: string, modules: readonly string[]): readonly string[] {
  const dependencies = new Map<string, readonly string[]>();
  for (const line of moddep.split('\n')) {
    const [name = '', rest = ''] = line.split(':', 2);
    dependencies.set(
      name,
      rest.split(' ').filter((word) => word !== ''),
    );
  }
  const all = new Set(modules);
  // What is added is visited later.
  for (const name of all) for (const dependency of dependencies.get(name) ?? []) all.add(dependency);
  return [...all].sort();
}
