import { FactoryError } from '../../errors.ts';

/** The codes of this folder. */
type OverlayCode =
  /** Upstream's: the image lacks a file, or what it says or writes cannot be used. */
  | 'OVERLAY_FILE_MISSING'
  | 'OVERLAY_TREE_INVALID'
  | 'OVERLAY_PROFILE_INVALID'
  | 'OVERLAY_ANSWER_INVALID'
  | 'OVERLAY_OUTPUT_INVALID'
  /** Ours: the installer ended badly or was stopped, or cannot be confined on this machine. */
  | 'OVERLAY_INSTALLER_FAILED'
  | 'OVERLAY_SANDBOX_UNAVAILABLE';

/** An overlay image is not what it must be: its publisher has to mend it. */
export function badOverlay(overlay: string, code: OverlayCode, what: string, cause?: unknown): FactoryError {
  return new FactoryError(
    'upstream',
    code,
    `overlay ${JSON.stringify(overlay)}: ${what}`,
    cause === undefined ? {} : { cause },
  );
}

/** An overlay's installer did not do its work here. */
export function failedOverlay(overlay: string, code: OverlayCode, what: string): FactoryError {
  return new FactoryError('internal', code, `overlay ${JSON.stringify(overlay)}: ${what}`);
}
