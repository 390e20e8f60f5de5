/** The imager's work for worker threads. What is large goes in and comes out as files. */
export const tasks = {
  digest: async () => (await import('./digest.ts')).digestBlob,
  'extension-piece': async () => (await import('./extension-piece.ts')).makeExtensionPiece,
  /** Loads what nearly every first request needs, before it comes. */
  'warm-up': async () => {
    await Promise.all([import('./digest.ts'), import('./extension-piece.ts')]);
    return async (_: undefined): Promise<void> => {};
  },
  'kernel-modules': async () => (await import('./kernel-modules.ts')).extractKernelModules,
  'modules-dep': async () => (await import('./modules-dep.ts')).makeModulesDep,
};

export type ImagerTasks = typeof tasks;
