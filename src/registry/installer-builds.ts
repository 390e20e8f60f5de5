import type { AssetBuilder } from '../builds/builder.ts';
import type { BuiltInstaller, InstallerBuilder } from '../imager/installer/installer-builder.ts';
import type { InstallerRecipe } from '../imager/installer/recipe.ts';
import type { BuildInstaller, InstallerRequest } from './installer-images.ts';

export interface InstallerBuildsOptions<A> {
  /** Makes a request into a recipe: every input by digest. */
  readonly resolve: (request: InstallerRequest, signal: AbortSignal) => Promise<InstallerRecipe>;
  /** Names the image for ever. */
  readonly key: (recipe: InstallerRecipe) => string;
  /** For hooks. */
  readonly about: (recipe: InstallerRecipe) => A;
  readonly builder: Pick<InstallerBuilder, 'build'>;
  readonly assets: AssetBuilder<BuiltInstaller, A>;
}

/** Images through the queue of builds, each recipe once. */
export function installerBuilds<A>(options: InstallerBuildsOptions<A>): BuildInstaller {
  const { resolve, key, about, builder, assets } = options;
  return async (request, signal) => {
    const recipe = await resolve(request, signal);
    const lease = await assets.open({
      key: key(recipe),
      about: about(recipe),
      build: (context) => builder.build(recipe, context.slot, context.signal),
      signal,
    });
    const { arch, manifest, config, layers } = lease.asset;
    return { arch, manifest, config, layers, [Symbol.dispose]: () => lease[Symbol.dispose]() };
  };
}
