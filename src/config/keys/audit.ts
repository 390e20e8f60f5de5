import { number, section, text } from '../fields.ts';

export const audit = section('The record of authenticated requests.', {
  mode: text('newer', '', '`file`, `log`, or empty for none.'),
  file: section('The audit file.', {
    path: text('newer', '', 'Its path. Empty: `audit.log` in the directory for temporary files.'),
    maxAge: number('newer', 'uint16', 30, 'Days that rotated files are kept.'),
    maxSizeMB: number('newer', 'uint16', 256, 'Size in MB at which the file is rotated.'),
    maxBackups: number('newer', 'uint16', 16, 'Rotated files that are kept; 0 keeps all.'),
  }),
});
