import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ANYONE, type Caller, owned, ownershipRefusal } from './ownership.ts';
import { emptySchematic } from './schematic.ts';

const ANONYMOUS: Caller = { authentication: true };
const ALICE: Caller = { authentication: true, user: 'alice' };

describe('ownershipRefusal', () => {
  // spec/schematic.md §4.3
  for (const [name, owner, caller, kind] of [
    ['not found, anonymous', undefined, ANONYMOUS, 'unauthorized'],
    ['not found, no authentication', undefined, ANYONE, undefined],
    ['not found, a user', undefined, ALICE, undefined],
    ['no owner, no authentication', '', ANYONE, undefined],
    ['an owner, no authentication', 'alice', ANYONE, 'unauthorized'],
    ['an owner, anonymous', 'alice', ANONYMOUS, 'unauthorized'],
    ['no owner, anonymous', '', ANONYMOUS, 'unauthorized'],
    ['another owner', 'bob', ALICE, 'forbidden'],
    ['no owner, a user', '', ALICE, 'forbidden'],
    ['the owner', 'alice', ALICE, undefined],
  ] as const) {
    it(name, () => assert.equal(ownershipRefusal(owner, caller)?.kind, kind));
  }

  it('says what the specification says', () => {
    assert.equal(
      ownershipRefusal('alice', ANONYMOUS)?.message,
      'authentication required to access this schematic',
    );
    assert.equal(ownershipRefusal('bob', ALICE)?.message, 'access denied');
  });
});

describe('owned', () => {
  const of = (owner: string) => ({ ...emptySchematic(), owner });

  it('lets nobody own anything without authentication', () => {
    assert.equal(owned(of(''), ANYONE).owner, '');
    assert.throws(() => owned(of('alice'), ANYONE), {
      code: 'SCHEMATIC_INVALID',
      message: 'owner field is only supported in Enterprise edition',
    });
  });

  it('gives a schematic to who creates it', () => {
    assert.equal(owned(of(''), ALICE).owner, 'alice');
    assert.equal(owned(of('alice'), ALICE).owner, 'alice');
    assert.throws(() => owned(of('bob'), ALICE), { kind: 'forbidden' });
    assert.throws(() => owned(of(''), ANONYMOUS), { kind: 'unauthorized' });
  });
});
