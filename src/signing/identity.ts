import { createHash } from 'node:crypto';
import { badSignature, signingError } from './errors.ts';
import { goRegExp } from './go-regexp.ts';

/** Whom a signing certificate names, and who vouched for that. */
export interface SignerIdentity {
  /** Subject alternative name: an e-mail address or a URI. */
  readonly subject: string;
  /** OIDC issuer (Fulcio's OID 1.3.6.1.4.1.57264.1.8, or .1 of old certificates). */
  readonly issuer: string;
}

/** Whose signatures are accepted. */
export interface IdentityRule {
  /** Names everything that decides. */
  readonly fingerprint: string;
  /** Throws `SIGNATURE_INVALID`. */
  check(identity: SignerIdentity): void;
}

export interface IdentitySettings {
  readonly subjectRegExp: string;
  readonly issuer: string;
  readonly issuerRegExp: string;
}

/**
 * `issuerRegExp` counts instead of `issuer` when it is set (`spec/artifacts.md` §6.1); both expressions may match
 * anywhere in the text. Throws `invalid`: an expression that cannot be used, no issuer.
 */
export function identityRule(settings: IdentitySettings): IdentityRule {
  const subject = goRegExp(settings.subjectRegExp, 'containerSignature.subjectRegExp');
  const expression = settings.issuerRegExp.trim();
  if (expression === '' && settings.issuer === '') {
    throw signingError(
      'invalid',
      'SIGNATURE_POLICY_INVALID',
      'containerSignature.issuer and containerSignature.issuerRegExp are both empty: anyone could have the subject that containerSignature.subjectRegExp asks for',
    );
  }
  const pattern = expression === '' ? undefined : goRegExp(expression, 'containerSignature.issuerRegExp');
  return {
    fingerprint: createHash('sha256')
      .update(JSON.stringify([settings.subjectRegExp, expression, expression === '' ? settings.issuer : '']))
      .digest('hex'),
    check: (identity) => {
      if (!subject.test(identity.subject)) {
        throw badSignature(
          `certificate subject ${quoted(identity.subject)} does not match containerSignature.subjectRegExp`,
        );
      }
      if (pattern === undefined ? identity.issuer !== settings.issuer : !pattern.test(identity.issuer)) {
        throw badSignature(
          `certificate issuer ${quoted(identity.issuer)} is not the one that containerSignature asks for`,
        );
      }
    },
  };
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
