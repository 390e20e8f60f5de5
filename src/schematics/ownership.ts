import { FactoryError } from '../errors.ts';
import type { Schematic } from './schematic.ts';
import { invalidSchematic } from './yaml/errors.ts';

/** Who asks. Without authentication (the open source edition) nobody has a name. */
export interface Caller {
  readonly authentication: boolean;
  /** `undefined` for an anonymous caller. */
  readonly user?: string;
}

/** A caller of a factory without authentication. */
export const ANYONE: Caller = { authentication: false };

/**
 * The schematic as a caller may create it: an authenticated user owns it, which changes its id
 * (`spec/schematic.md` §1.1). Throws `invalid` `SCHEMATIC_INVALID` for an owner without authentication,
 * `unauthorized` and `forbidden` as `ownershipRefusal` does.
 */
export function owned(schematic: Schematic, caller: Caller): Schematic {
  if (!caller.authentication) {
    if (schematic.owner === '') return schematic;
    throw invalidSchematic('owner field is only supported in Enterprise edition');
  }
  if (caller.user === undefined) throw unauthorized();
  if (schematic.owner !== '' && schematic.owner !== caller.user) throw forbidden();
  return { ...schematic, owner: caller.user };
}

/**
 * Why a caller may not have a schematic of `owner`, `undefined` when he may (`spec/schematic.md` §4.3). An `owner`
 * of `undefined` stands for a schematic that was not found: an anonymous caller shall not learn that, the others
 * get the error there was.
 */
export function ownershipRefusal(owner: string | undefined, caller: Caller): FactoryError | undefined {
  if (!caller.authentication) return owner === undefined || owner === '' ? undefined : unauthorized();
  if (caller.user === undefined) return unauthorized();
  return owner === undefined || owner === caller.user ? undefined : forbidden();
}

function unauthorized(): FactoryError {
  return new FactoryError(
    'unauthorized',
    'SCHEMATIC_UNAUTHORIZED',
    'authentication required to access this schematic',
  );
}

function forbidden(): FactoryError {
  return new FactoryError('forbidden', 'SCHEMATIC_FORBIDDEN', 'access denied');
}
