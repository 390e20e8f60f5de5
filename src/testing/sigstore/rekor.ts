import { sign } from 'node:crypto';
import { ecKeyPair, type KeyPair, sha256, spki } from './certificates.ts';

/** A log entry as bundles carry it (protobuf-specs, sigstore_rekor.proto, in JSON). */
export interface LogEntry {
  logIndex: string;
  logId: { keyId: string };
  kindVersion: { kind: string; version: string };
  integratedTime?: string;
  inclusionPromise?: { signedEntryTimestamp: string };
  inclusionProof: {
    logIndex: string;
    rootHash: string;
    treeSize: string;
    hashes: string[];
    checkpoint: { envelope: string };
  };
  canonicalizedBody: string;
}

export interface LogBody {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: unknown;
}

/** Transparency log: of version 1, whose entries have a time and a promise, or 2, where they have neither. */
export class Rekor {
  readonly name: string;
  readonly key: KeyPair = ecKeyPair();
  readonly logId: Buffer = sha256(spki(this.key.publicKey));

  constructor(name: string) {
    this.name = name;
  }

  /** `time`: seconds since the epoch; `undefined`: an entry of version 2. */
  enter(content: LogBody, time: number | undefined): LogEntry {
    const body = Buffer.from(JSON.stringify(content));
    // Second of two leaves (RFC 6962 §2.1).
    const first = sha256(Buffer.from([0]), Buffer.from('the entry before'));
    const root = sha256(Buffer.from([1]), first, sha256(Buffer.from([0]), body));
    return {
      logIndex: '7001',
      logId: { keyId: this.logId.toString('base64') },
      kindVersion: { kind: content.kind, version: content.apiVersion },
      ...(time === undefined
        ? {}
        : {
            integratedTime: String(time),
            inclusionPromise: { signedEntryTimestamp: this.promise(body, time, 7001) },
          }),
      inclusionProof: {
        logIndex: '1',
        rootHash: root.toString('base64'),
        treeSize: '2',
        hashes: [first.toString('base64')],
        checkpoint: { envelope: this.#checkpoint(2, root) },
      },
      canonicalizedBody: body.toString('base64'),
    };
  }

  /** Signed entry timestamp over the canonical JSON (RFC 8785) of the entry. */
  promise(body: Uint8Array, integratedTime: number, logIndex: number): string {
    const payload = {
      body: Buffer.from(body).toString('base64'),
      integratedTime,
      logID: this.logId.toString('hex'),
      logIndex,
    };
    return sign('sha256', Buffer.from(JSON.stringify(payload)), this.key.privateKey).toString('base64');
  }

  /** Signed note (C2SP tlog-checkpoint). */
  #checkpoint(size: number, root: Buffer): string {
    const note = `${this.name}\n${size}\n${root.toString('base64')}\n`;
    const signature = sign('sha256', Buffer.from(note), this.key.privateKey);
    return `${note}\n\u2014 ${this.name} ${Buffer.concat([this.logId.subarray(0, 4), signature]).toString('base64')}\n`;
  }
}
